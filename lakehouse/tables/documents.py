"""What was taken in: documents as they came, and what was refused, with the reason."""

from lakehouse.tables.schema import DOC, GROUPS, RUN, SOURCE, TENANT, Column, Forget, Rule, Table, Type

DOCUMENTS = Table(
    "bronze.documents",
    grain="one document of one source, as last seen",
    key=("tenant_id", "source", "doc_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    is_followed=True,
    columns=(
        TENANT,
        SOURCE,
        DOC,
        Column("title", Type.STRING, "Title given, or the first heading, or the file's name."),
        Column("text", Type.STRING, "The document as Markdown."),
        Column("uri", Type.STRING, "Where a reader finds the original, e.g. `file:///docs/plan.md`."),
        GROUPS,
        Column("content_hash", Type.STRING, "SHA-256 of title and text, hexadecimal; equal means unchanged."),
        Column(
            "updated_at",
            Type.TIME,
            "When the source says it changed; NULL when the source does not say.",
            True,
        ),
        Column("deleted", Type.BOOL, "True once a snapshot no longer held it."),
        RUN,
        Column(
            "signature",
            Type.INTS,
            "MinHash of `text`, 128 numbers, to find near-copies; empty: no word in it; NULL: taken in while the rule "
            "`near-duplicate` was off.",
            True,
        ),
    ),
    rules=(
        Rule("empty text", "`text` holds more than white space."),
        Rule("oversize", "`text` has at most `LAKEHOP_DOCUMENT_MAX_BYTES` bytes of UTF-8."),
        Rule(
            "damaged encoding",
            "At most one character in 200 of `text` is U+FFFD, or belongs to UTF-8 that was read as Latin-1 (`Ã©`).",
        ),
        Rule(
            "other language",
            "`text` is in one of `LAKEHOP_DOCUMENT_LANGUAGES`, where any are set; source code and texts of less than "
            "200 letters are not judged.",
        ),
        Rule(
            "near-duplicate",
            "`text` repeats no other document of the same tenant, source and groups to "
            "`LAKEHOP_NEAR_DUPLICATE_SIMILARITY` or more, where that is set; a known document whose groups or address "
            "alone changed is not judged.",
        ),
    ),
)

QUARANTINE = Table(
    "bronze.quarantine",
    grain="one document or row that a run could not take in; refused again, it is the later run's row",
    key=("ingest_run_id", "quarantine_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        RUN,
        Column(
            "quarantine_id",
            Type.STRING,
            "Hash of where the rejected bytes lie and why; stable over retries of a run.",
        ),
        TENANT,
        SOURCE,
        Column("doc_id", Type.STRING, "Its id; NULL when it has none.", True),
        Column("uri", Type.STRING, "File that holds the rejected bytes; fix it there and ingest again."),
        Column("reason", Type.STRING, "What is wrong, what is allowed, and what to do."),
        Column(
            "excerpt",
            Type.STRING,
            "The first 200 characters, undecodable bytes escaped; NULL when there are none.",
            True,
        ),
        Column("quarantined_at", Type.TIME, "When it was rejected."),
        Column(
            "number",
            Type.LONG,
            "Line or row in its file, from 1; 0: the whole file; NULL: refused before this was noted.",
            True,
        ),
        Column(
            "paths",
            Type.STRINGS,
            "Paths given to the run, which a replay reads again; NULL: it cannot be replayed.",
            True,
        ),
        Column(
            "default_groups",
            Type.STRINGS,
            "The run's groups for documents that name none; NULL: it cannot be replayed.",
            True,
        ),
        Column(
            "resolved_by",
            Type.STRING,
            "Run that later took it in, or read its place and found nothing to refuse; NULL: still open.",
            True,
        ),
        Column(
            "like_doc_id",
            Type.STRING,
            "Document of the source that it repeats, named in the reason too; NULL: refused for something else.",
            True,
        ),
    ),
)
