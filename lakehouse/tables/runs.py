"""Tables of jobs: index versions, reconciliations, ingests and erasures."""

from lakehouse.tables.schema import SOURCE, TENANT, Column, Forget, Table, Type

INDEX_VERSIONS = Table(
    "ops.index_versions",
    grain="one Milvus collection of one tenant",
    key=("tenant_id", "collection"),
    forget=Forget.TENANT,
    columns=(
        TENANT,
        Column("collection", Type.STRING, "Milvus collection, e.g. `lakehop_acme_v1`; no name is used twice."),
        Column("alias", Type.STRING, "Alias that points at the tenant's live collection."),
        Column(
            "embedding_model",
            Type.STRING,
            "Model of its vectors, e.g. `all-MiniLM-L6-v2`; questions are embedded by the same model.",
        ),
        Column("dimension", Type.INT, "Length of its vectors, e.g. 384."),
        Column(
            "state",
            Type.STRING,
            "`building`; `live`: searches read it; `retired`: kept for a return; `dropped`: deleted "
            "from Milvus; NULL in rows "
            "of releases without this column.",
            True,
        ),
        Column("chunks", Type.LONG, "Chunks in it when it went live; NULL before.", True),
        Column(
            "recall",
            Type.DOUBLE,
            "Share of the exact ten nearest chunks that its search found before it went live, over a "
            "sample, 0 to 1; NULL "
            "for the first version of a tenant.",
            True,
        ),
        Column(
            "run_id",
            Type.STRING,
            "Run that built it or returned to it; NULL in rows of releases without this column.",
            True,
        ),
        Column("created_at", Type.TIME, "Time of its creation."),
        Column("live_from", Type.TIME, "Time when searches last began to read it; NULL before.", True),
        Column(
            "layout",
            Type.STRING,
            "Its columns and search text, e.g. `2.2`; another value than this release's: the next ingest builds it "
            "again; NULL in rows of releases without this column.",
            True,
        ),
    ),
)

RECONCILE_RUNS = Table(
    "ops.reconcile_runs",
    grain="one comparison of one tenant's chunks with its live collection",
    key=("run_id", "tenant_id"),
    forget=Forget.TENANT,
    columns=(
        Column("run_id", Type.STRING, "Airflow's run id."),
        TENANT,
        Column("collection", Type.STRING, "Live collection; NULL when the tenant has none.", True),
        Column("chunks", Type.LONG, "Chunks of the tenant, which the collection should hold."),
        Column("missing", Type.LONG, "Chunks that the collection lacked; they were written."),
        Column("extra", Type.LONG, "Rows without a chunk of the tenant; they were removed."),
        Column("stale_text", Type.LONG, "Rows with another text, title, heading or address; they were written again."),
        Column("stale_permissions", Type.LONG, "Rows with another `acl_key`; they were written again."),
        Column(
            "stale_counts",
            Type.LONG,
            "Names and terms with a wrong count in `silver.frequencies`, counted again; NULL in rows "
            "of releases that did "
            "not compare them.",
            True,
        ),
        Column("started_at", Type.TIME, "Start of the comparison."),
        Column("seconds", Type.DOUBLE, "Duration, seconds."),
    ),
)

INGEST_RUNS = Table(
    "ops.ingest_runs",
    grain="one step of one ingest run",
    key=("run_id", "step"),
    forget=Forget.TENANT,
    columns=(
        Column("run_id", Type.STRING, "Airflow's run id."),
        Column("step", Type.STRING, "Spark step, e.g. `chunk_documents`."),
        TENANT,
        SOURCE,
        Column(
            "documents_seen",
            Type.LONG,
            "Documents and rows in the input, also refused ones; NULL: not counted by this step.",
            True,
        ),
        Column("documents_added", Type.LONG, "New documents; NULL: not counted by this step.", True),
        Column(
            "documents_changed",
            Type.LONG,
            "Known documents with new text, title, address or groups; NULL: not counted by this step.",
            True,
        ),
        Column(
            "documents_unchanged",
            Type.LONG,
            "Known documents without a change; NULL: not counted by this step.",
            True,
        ),
        Column(
            "documents_deleted",
            Type.LONG,
            "Documents that the snapshot no longer held; NULL: not counted by this step.",
            True,
        ),
        Column("documents_quarantined", Type.LONG, "Refused documents and rows; NULL: not counted by this step.", True),
        Column(
            "documents_skipped",
            Type.LONG,
            "Files of a folder or bucket that are no documents: hidden, ignored by git, or below a refused folder. The "
            "run's log counts them by reason. NULL: not counted by this step.",
            True,
        ),
        Column("chunks_written", Type.LONG, "Chunks added or changed; NULL: not counted by this step.", True),
        Column("chunks_deleted", Type.LONG, "Chunks removed; NULL: not counted by this step.", True),
        Column("embedded", Type.LONG, "Texts that the model embedded; NULL: not counted by this step.", True),
        Column(
            "items_done",
            Type.LONG,
            "While the step runs, what it has done: documents parsed or cut, texts embedded, or chunks indexed, e.g. "
            "640; written every few seconds. NULL: the step ended, or took seconds.",
            True,
        ),
        Column(
            "items_left",
            Type.LONG,
            "While the step runs, what it has still to do; NULL as `items_done`, and for lines of a file or pages of a "
            "website, which nobody counts before.",
            True,
        ),
        Column(
            "seconds_left",
            Type.DOUBLE,
            "While the step runs, the time that it still needs at its speed until now, seconds; NULL as `items_done`, "
            "and before anything is done.",
            True,
        ),
        Column("started_at", Type.TIME, "Start of the step."),
        Column("seconds", Type.DOUBLE, "Duration, seconds."),
    ),
)

FORGET_RUNS = Table(
    "ops.forget_runs",
    grain="one place that one forget run cleaned: a table, or `milvus`",
    key=("run_id", "place"),
    forget=Forget.KEPT,
    columns=(
        Column("run_id", Type.STRING, "Airflow's run id."),
        Column("place", Type.STRING, "Table, e.g. `silver.chunks`, or `milvus`."),
        TENANT,
        Column("source", Type.STRING, "Source of the documents to forget; NULL: any.", True),
        Column(
            "documents",
            Type.STRINGS,
            "SHA-256 of each document id to forget, so that this proof does not keep the id itself; empty: all.",
        ),
        Column(
            "rows_removed", Type.LONG, "Rows removed; in the call tables: rows whose errors and sub-tasks were removed."
        ),
        Column("files_purged", Type.LONG, "Files deleted, also of old versions and of change data."),
        Column(
            "rows_left",
            Type.LONG,
            "Rows to forget in all files that are left on disk; 0 is the proof. NULL: not counted yet.",
            True,
        ),
        Column("started_at", Type.TIME, "Start of the run."),
        Column("proven_at", Type.TIME, "Time when no row was left in any place; NULL: not proven yet.", True),
    ),
)

STEP_UNITS = {
    "parse_documents": "documents",
    "chunk_documents": "documents",
    "embed_chunks": "embeddings",
    "sync_index": "chunks",
}
"""What `items_done` of `ops.ingest_runs` counts, by the step."""


def progress_line(step: str, done: int, left: int | None, seconds_left: float | None) -> str:
    """One line for people, e.g. `embed_chunks: 640 of 1,000 embeddings, 360 left, about 12 s`."""
    if left is None:
        return f"{step}: {done:,} {STEP_UNITS[step]}"
    rest = "" if seconds_left is None else f", about {seconds_left:.0f} s"
    return f"{step}: {done:,} of {done + left:,} {STEP_UNITS[step]}, {left:,} left{rest}"
