"""What is made of documents: chunks, who may read them, names, links, counts, vectors."""

from lakehouse.tables.schema import ACL, DOC, GROUPS, RUN, SOURCE, TENANT, Column, Forget, Table, Type

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
            "Hash of the document's key, the chunk's text and which repeat of that text it is, "
            "so that an edit above a chunk leaves its id alone.",
        ),
        SOURCE,
        DOC,
        Column("position", Type.INT, "Place among the document's chunks, from 0."),
        Column("title", Type.STRING, "The document's title."),
        Column(
            "heading_path",
            Type.STRINGS,
            "Headings above the chunk, outermost first; empty before the first heading.",
        ),
        Column("text", Type.STRING, "The span of the document, unaltered."),
        Column("start_offset", Type.INT, "Where the span begins in the document's text, in characters."),
        Column("end_offset", Type.INT, "Where it ends, exclusive, in characters."),
        Column(
            "token_count",
            Type.INT,
            "Tokens of what is embedded (title, headings, text) by the embedding model's own tokenizer, e.g. 212.",
        ),
        Column(
            "content_hash",
            Type.STRING,
            "SHA-256 of what is embedded, hexadecimal; joins `silver.embeddings`.",
        ),
        Column("uri", Type.STRING, "The document's address."),
        GROUPS,
        ACL,
        RUN,
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

_NAME = Column("name", Type.STRING, "A title, or a part of one, as it is written there, e.g. `Foo` of `Foo (film)`.")
_ALIAS = "`title` in full, `stem` without the parenthesis at its end, or `before_comma`"

TITLES = Table(
    "silver.titles",
    grain="one name by which texts can mention one live document",
    key=("tenant_id", "source", "doc_id", "name"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        TENANT,
        SOURCE,
        DOC,
        _NAME,
        Column("alias", Type.STRING, f"How the name comes from the title: {_ALIAS}."),
        Column("namesakes", Type.INT, "Documents of the tenant that have this name, this one included."),
        Column("mentioned_in", Type.INT, "Documents that mention the name without having it; 0: none does."),
        Column(
            "is_common",
            Type.BOOL,
            "True for a name that makes no links, because too many documents have it or mention it.",
        ),
        ACL,
        RUN,
    ),
)

MENTIONS = Table(
    "silver.mentions",
    grain="one name or link target in one chunk, whether or not it leads to a document",
    key=("tenant_id", "chunk_id", "kind", "target"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        TENANT,
        Column("chunk_id", Type.STRING, "Chunk that holds it; joins `silver.chunks`."),
        SOURCE,
        DOC,
        Column(
            "kind",
            Type.STRING,
            "`title` for a name of a title, `hyperlink`, or `address`: the document's own by its front matter.",
        ),
        Column("target", Type.STRING, "The name as `silver.titles` has it, or the link's target as written."),
        Column(
            "addresses",
            Type.STRINGS,
            "Where a hyperlink may lead, best first, e.g. `path:docs:guide/install`; empty for a title.",
        ),
        Column("start_offset", Type.INT, "Where its first occurrence begins in the chunk's text, in characters."),
        Column("end_offset", Type.INT, "Where that ends, exclusive, in characters."),
        Column("occurrences", Type.INT, "How often the chunk holds it, 1 or more."),
        ACL,
        RUN,
    ),
)

LINKS = Table(
    "silver.links",
    grain="one document that one chunk of another document of the tenant names or links to. "
    "A reader may follow a link only if both `acl_key` and `to_acl_key` are among the keys that the reader is allowed",
    key=("tenant_id", "chunk_id", "to_source", "to_doc_id", "kind"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        TENANT,
        Column("chunk_id", Type.STRING, "Chunk that holds the mention or hyperlink; joins `silver.chunks`."),
        SOURCE,
        DOC,
        Column("acl_key", Type.STRING, "Of the chunk that links: who may not read it must not see the row."),
        Column("kind", Type.STRING, "`mention` of the other document's title, or `hyperlink` to it."),
        Column("to_source", Type.STRING, "Source of the document linked to."),
        Column("to_doc_id", Type.STRING, "Its id there."),
        Column("to_chunk_id", Type.STRING, "Its first chunk, for one fetch by id."),
        Column("to_acl_key", Type.STRING, "Of the document linked to: who may not read it must not see the row."),
        Column("target", Type.STRING, "The name mentioned, joins `silver.titles`; or the link's target as written."),
        Column("alias", Type.STRING, f"What part of the title the name is: {_ALIAS}; NULL for a hyperlink.", True),
        Column("start_offset", Type.INT, "Where the first occurrence begins in the chunk's text, in characters."),
        Column("end_offset", Type.INT, "Where that ends, exclusive, in characters."),
        Column("occurrences", Type.INT, "How often the chunk names or links to the document."),
        RUN,
    ),
)

FREQUENCIES = Table(
    "silver.frequencies",
    grain="one name or term of one tenant's chunks, and how many of them hold it",
    key=("tenant_id", "key"),
    partition_by=("tenant_id",),
    forget=Forget.TENANT,
    columns=(
        TENANT,
        Column("key", Type.LONG, "64 bits of BLAKE2b of `own:`, `say:` or `term:` and the name or term; no text."),
        Column(
            "chunks",
            Type.LONG,
            "Live chunks that hold it, 1 or more; `chunk:` is a key of every chunk, `own:` and a title of the first of "
            "each document that has the title.",
        ),
        RUN,
    ),
)

EMBEDDINGS = Table(
    "silver.embeddings",
    grain="one text embedded by one model, whoever it belongs to",
    key=("content_hash", "embedding_model"),
    forget=Forget.UNUSED_TEXT,
    columns=(
        Column("content_hash", Type.STRING, "SHA-256 of the embedded text, hexadecimal."),
        Column("embedding_model", Type.STRING, "Model that made the vector, e.g. `all-MiniLM-L6-v2`."),
        Column("vector", Type.VECTOR, "Unit-length embedding."),
        RUN,
    ),
)
