"""Tables of ingested documents, and of refused documents with the reason."""

from lakehouse.tables.schema import (
    AUTHOR,
    DOC,
    DOCUMENT_TYPE,
    GROUPS,
    RUN,
    SOURCE,
    TENANT,
    Column,
    Forget,
    Rule,
    Table,
    Type,
)

DOCUMENTS = Table(
    "bronze.documents",
    grain="one document of one source, in its last ingested version",
    key=("tenant_id", "source", "doc_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    is_followed=True,
    columns=(
        TENANT,
        SOURCE,
        DOC,
        Column("title", Type.STRING, "The given title, else the first heading, else the file's name."),
        Column("text", Type.STRING, "The document as Markdown."),
        Column("uri", Type.STRING, "Address of the original, e.g. `file:///docs/plan.md`."),
        GROUPS,
        Column("content_hash", Type.STRING, "SHA-256 of title and text, hexadecimal; equal means unchanged."),
        Column(
            "updated_at",
            Type.TIME,
            "Time of the last change according to the source; NULL when the source gives none.",
            True,
        ),
        Column("deleted", Type.BOOL, "True after a snapshot that no longer held the document."),
        RUN,
        Column(
            "signature",
            Type.INTS,
            "MinHash of `text`, 128 numbers, to find near-copies; empty: no word in the text; NULL: "
            "ingested while the rule "
            "`near-duplicate` was off.",
            True,
        ),
        DOCUMENT_TYPE,
        AUTHOR,
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
    grain="one document or row that a run refused; a later refusal of the same document replaces the row",
    key=("ingest_run_id", "quarantine_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        RUN,
        Column(
            "quarantine_id",
            Type.STRING,
            "Hash of the place of the refused bytes and the reason; the same in every retry of a run.",
        ),
        TENANT,
        SOURCE,
        Column("doc_id", Type.STRING, "Id of the document; NULL when it has none.", True),
        Column(
            "uri",
            Type.STRING,
            "File that holds the refused bytes, e.g. `file:///docs/plan.md`; repair it there and ingest again.",
        ),
        Column("reason", Type.STRING, "The problem, the allowed value, and what to do."),
        Column(
            "excerpt",
            Type.STRING,
            "The first 200 characters of the refused text, with escapes for undecodable bytes; NULL without text.",
            True,
        ),
        Column("quarantined_at", Type.TIME, "Time of the refusal."),
        Column(
            "number",
            Type.LONG,
            "Line or row in the file, from 1; 0: the whole file; NULL in rows of releases without this column.",
            True,
        ),
        Column(
            "paths",
            Type.STRINGS,
            "Paths of the run, which a replay reads again; NULL: no replay is possible.",
            True,
        ),
        Column(
            "default_groups",
            Type.STRINGS,
            "The run's groups for documents that name none; NULL: no replay is possible.",
            True,
        ),
        Column(
            "resolved_by",
            Type.STRING,
            "Later run that accepted the document, or read its place and refused nothing there; NULL: still open.",
            True,
        ),
        Column(
            "like_doc_id",
            Type.STRING,
            "Id of the document that it repeats; NULL: refused for another reason.",
            True,
        ),
        Column(
            "kind",
            Type.STRING,
            "The reason without values and advice, for counts, e.g. `encrypted`; NULL in rows of releases without it.",
            True,
        ),
    ),
)
