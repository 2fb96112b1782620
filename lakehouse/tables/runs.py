"""What was done: indexes, repairs, ingests and removals."""

from lakehouse.tables.schema import SOURCE, TENANT, Column, Forget, Table, Type

INDEX_VERSIONS = Table(
    "ops.index_versions",
    grain="one Milvus collection that was built for one tenant",
    key=("tenant_id", "collection"),
    forget=Forget.TENANT,
    columns=(
        TENANT,
        Column("collection", Type.STRING, "Milvus collection, e.g. `lakehop_acme_v1`; a name is never used again."),
        Column("alias", Type.STRING, "Alias that points at the tenant's live collection."),
        Column("embedding_model", Type.STRING, "Model of its vectors; questions to it are embedded by the same."),
        Column("dimension", Type.INT, "Length of its vectors."),
        Column(
            "state",
            Type.STRING,
            "`building`; `live`: searches read it; `retired`: kept, to be returned to; `dropped`: gone from Milvus; "
            "NULL: built before this was noted.",
            True,
        ),
        Column("chunks", Type.LONG, "Chunks that it held when it went live; NULL before.", True),
        Column(
            "recall",
            Type.DOUBLE,
            "Share of the exact ten nearest that its search found before it went live, over a sample, 0 to 1; NULL "
            "when it was the tenant's first.",
            True,
        ),
        Column("run_id", Type.STRING, "Run that built it, or returned to it; NULL: before this was noted.", True),
        Column("created_at", Type.TIME, "When it was created."),
        Column("live_from", Type.TIME, "When searches began to read it, the last time; NULL before.", True),
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
        Column("collection", Type.STRING, "Live collection; NULL when the tenant has nothing to search.", True),
        Column("chunks", Type.LONG, "Chunks that it should hold."),
        Column("missing", Type.LONG, "Chunks that it lacked, written."),
        Column("extra", Type.LONG, "Rows that are no chunk of the tenant, removed."),
        Column("stale_text", Type.LONG, "Rows with another text, title, heading or address, written again."),
        Column("stale_permissions", Type.LONG, "Rows with another `acl_key`, written again."),
        Column(
            "stale_counts",
            Type.LONG,
            "Names and terms with another count in `silver.frequencies`, counted anew; NULL: not compared then.",
            True,
        ),
        Column("started_at", Type.TIME, "When it began."),
        Column("seconds", Type.DOUBLE, "How long it took."),
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
            "Documents and rows in the input, refused ones too; NULL: not this step's.",
            True,
        ),
        Column("documents_added", Type.LONG, "New documents; NULL: not this step's.", True),
        Column(
            "documents_changed",
            Type.LONG,
            "Known documents with new text, title, address or groups; NULL: not this step's.",
            True,
        ),
        Column(
            "documents_unchanged",
            Type.LONG,
            "Known documents found as they were; NULL: not this step's.",
            True,
        ),
        Column(
            "documents_deleted",
            Type.LONG,
            "Documents that the snapshot no longer held; NULL: not this step's.",
            True,
        ),
        Column("documents_quarantined", Type.LONG, "Refused documents and rows; NULL: not this step's.", True),
        Column(
            "documents_skipped",
            Type.LONG,
            "Files of a folder or bucket that no document was made of and none was expected: hidden, ignored by git, "
            "or below a folder that was refused; the run's log counts each. NULL: not this step's.",
            True,
        ),
        Column("chunks_written", Type.LONG, "Chunks added or changed; NULL: not this step's.", True),
        Column("chunks_deleted", Type.LONG, "Chunks removed; NULL: not this step's.", True),
        Column("links_written", Type.LONG, "Links added or changed; NULL: not this step's.", True),
        Column("links_deleted", Type.LONG, "Links removed; NULL: not this step's.", True),
        Column("embedded", Type.LONG, "Texts that the model embedded; NULL: not this step's.", True),
        Column("started_at", Type.TIME, "When the step began."),
        Column("seconds", Type.DOUBLE, "How long it took."),
    ),
)

FORGET_RUNS = Table(
    "ops.forget_runs",
    grain="one place that one forget run emptied: a table, or `milvus`",
    key=("run_id", "place"),
    forget=Forget.KEPT,
    columns=(
        Column("run_id", Type.STRING, "Airflow's run id."),
        Column("place", Type.STRING, "Table, e.g. `silver.chunks`, or `milvus`."),
        TENANT,
        Column("source", Type.STRING, "Source whose documents were to go; NULL: any.", True),
        Column(
            "documents",
            Type.STRINGS,
            "SHA-256 of each id that was to go, so that this proof does not keep the id itself; empty: all.",
        ),
        Column("rows_removed", Type.LONG, "Rows taken out; of the bill: errors blanked."),
        Column("files_purged", Type.LONG, "Files deleted for good, old versions and change data among them."),
        Column(
            "rows_left",
            Type.LONG,
            "Rows that a reading of all files left on disk still found: 0 is the proof; NULL while it is not done.",
            True,
        ),
        Column("started_at", Type.TIME, "When the run began."),
        Column("proven_at", Type.TIME, "When nothing was left anywhere; NULL while it is not proven.", True),
    ),
)
