"""Tables made from documents: chunks, group sets, name frequencies, embeddings."""

from lakehouse.tables.schema import (
    ACL,
    AUTHOR,
    DOC,
    DOCUMENT_TYPE,
    GROUPS,
    RUN,
    SOURCE,
    TENANT,
    Column,
    Forget,
    Table,
    Type,
)

CHUNKS = Table(
    "silver.chunks",
    grain="one chunk of one live document",
    key=("tenant_id", "chunk_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    is_followed=True,
    columns=(
        TENANT,
        Column(
            "chunk_id",
            Type.STRING,
            "Hash of the document's key, the chunk's text and the number of the repeat of that text in "
            "the document: an edit "
            "elsewhere in the document keeps the id.",
        ),
        SOURCE,
        DOC,
        Column("position", Type.INT, "Number of the chunk in its document, from 0."),
        Column("title", Type.STRING, "The document's title."),
        Column(
            "heading_path",
            Type.STRINGS,
            "Headings above the chunk, outermost first; empty before the first heading.",
        ),
        Column(
            "text",
            Type.STRING,
            "The chunk's span of the document's text, unchanged; a span that begins among the rows of a table follows "
            "its header.",
        ),
        Column("start_offset", Type.INT, "Start of the span in the document's text, in characters, e.g. 0."),
        Column("end_offset", Type.INT, "End of the span, exclusive, in characters, e.g. 812."),
        Column(
            "token_count",
            Type.INT,
            "Tokens of the embedded text (title, headings, text) by the embedding model's own tokenizer, e.g. 212.",
        ),
        Column(
            "content_hash",
            Type.STRING,
            "SHA-256 of the embedded text, hexadecimal; joins `silver.embeddings`.",
        ),
        Column("uri", Type.STRING, "Address of the document, e.g. `file:///docs/plan.md`."),
        GROUPS,
        ACL,
        RUN,
        DOCUMENT_TYPE,
        AUTHOR,
        Column(
            "updated_at",
            Type.TIME,
            "Time of the document's last change according to its source; NULL when the source gives none.",
            True,
        ),
    ),
)

ACL_KEYS = Table(
    "silver.acl_keys",
    grain="one distinct set of groups of one tenant",
    key=("tenant_id", "acl_key"),
    partition_by=("tenant_id",),
    forget=Forget.TENANT,
    columns=(TENANT, ACL, GROUPS),
)

FREQUENCIES = Table(
    "silver.frequencies",
    grain="one name or term of one tenant, and the number of chunks that hold it",
    key=("tenant_id", "key"),
    partition_by=("tenant_id",),
    forget=Forget.TENANT,
    columns=(
        TENANT,
        Column("key", Type.LONG, "64 bits of BLAKE2b of `own:`, `say:` or `term:` and the name or term; no text."),
        Column(
            "chunks",
            Type.LONG,
            "Live chunks that hold it, 1 or more. The key `chunk:` counts all chunks; `own:` with a title counts the "
            "documents of that title, by their first chunks.",
        ),
        RUN,
    ),
)

EMBEDDINGS = Table(
    "silver.embeddings",
    grain="one text embedded by one model, shared by all chunks with that text",
    key=("content_hash", "embedding_model"),
    forget=Forget.UNUSED_TEXT,
    columns=(
        Column("content_hash", Type.STRING, "SHA-256 of the embedded text, hexadecimal."),
        Column("embedding_model", Type.STRING, "Model that made the vector, e.g. `all-MiniLM-L6-v2`."),
        Column("vector", Type.VECTOR, "Embedding, of length 1, e.g. 384 numbers."),
        RUN,
    ),
)
