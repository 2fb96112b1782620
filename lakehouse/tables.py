"""Every Delta table, declared once and free of any engine: grain, key, columns, and a sentence on each column.

Spark schemas, Arrow schemas, the SQL catalog, the data dictionary in `docs/` and the tests all read these
declarations, so a column is added here and nowhere else.
"""

from dataclasses import dataclass
from enum import Enum


class Type(Enum):
    """Column types, by the name that Spark SQL and the data dictionary show."""

    STRING = "STRING"
    STRINGS = "ARRAY<STRING>"
    INT = "INT"
    INTS = "ARRAY<INT>"
    LONG = "BIGINT"
    DOUBLE = "DOUBLE"
    BOOL = "BOOLEAN"
    DATE = "DATE"  # UTC
    TIME = "TIMESTAMP"  # UTC
    MONEY = "DECIMAL(18,10)"  # US dollars; ten places hold the price of one token at $0.0001 a million
    VECTOR = "ARRAY<FLOAT>"


@dataclass(frozen=True)
class Column:
    """One column. `doc` gives meaning, unit, an example, and what NULL means where `nullable`."""

    name: str
    type: Type
    doc: str
    nullable: bool = False


class Forget(Enum):
    """What `lakehop forget` does to a table's rows, so that no table that holds somebody's text is passed over."""

    DOCUMENT = "go with their document, by tenant_id, source and doc_id (or any column that ends in doc_id)"
    UNUSED_TEXT = "go once no chunk of any tenant has their content_hash"
    TENANT = "go with their tenant"
    EVAL_RUN = "go with their tenant's evaluation, by run_id"
    BILL = "stay, for they are the bill; the errors of a removed tenant's calls go, for an error may quote"
    KEPT = "stay: they hold no document's text"


@dataclass(frozen=True)
class Rule:
    """What every row must hold. A row that breaks it goes to quarantine, with a reason that begins with `name`."""

    name: str
    doc: str


@dataclass(frozen=True)
class Table:
    """One Delta table: `name` is `schema.table`, `grain` says in a sentence what one row is."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    forget: Forget | None = None
    rules: tuple[Rule, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def path(self, root: str) -> str:
        """Where the table lies under a warehouse root: `root/schema/table`."""
        return f"{root}/{self.name.replace('.', '/')}"


_TENANT = Column("tenant_id", Type.STRING, "Whose row it is, e.g. `acme`; no query crosses it.")
_SOURCE = Column("source", Type.STRING, "Name of the folder, file or feed that it came from; snapshots act within one.")
_DOC = Column("doc_id", Type.STRING, "The document's id in its source: the given id, or the path below the folder.")
_RUN = Column("ingest_run_id", Type.STRING, "Run that last changed the row; joins `ops.ingest_runs`.")
_GROUPS = Column("acl_groups", Type.STRINGS, "Groups that may read it, sorted; empty: all of the tenant.")
_ACL = Column("acl_key", Type.STRING, "Hash of `acl_groups`; joins `silver.acl_keys` and filters every search.")

DOCUMENTS = Table(
    "bronze.documents",
    grain="one document of one source, as last seen",
    key=("tenant_id", "source", "doc_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        _TENANT,
        _SOURCE,
        _DOC,
        Column("title", Type.STRING, "Title given, or the first heading, or the file's name."),
        Column("text", Type.STRING, "The document as Markdown."),
        Column("uri", Type.STRING, "Where a reader finds the original, e.g. `file:///docs/plan.md`."),
        _GROUPS,
        Column("content_hash", Type.STRING, "SHA-256 of title and text, hexadecimal; equal means unchanged."),
        Column(
            "updated_at",
            Type.TIME,
            "When the source says it changed; NULL when the source does not say.",
            True,
        ),
        Column("deleted", Type.BOOL, "True once a snapshot no longer held it."),
        _RUN,
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
        _RUN,
        Column(
            "quarantine_id",
            Type.STRING,
            "Hash of where the rejected bytes lie and why; stable over retries of a run.",
        ),
        _TENANT,
        _SOURCE,
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

CHUNKS = Table(
    "silver.chunks",
    grain="one chunk of one live document",
    key=("tenant_id", "chunk_id"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        _TENANT,
        Column(
            "chunk_id",
            Type.STRING,
            "Hash of the document's key, the chunk's text and which repeat of that text it is, "
            "so that an edit above a chunk leaves its id alone.",
        ),
        _SOURCE,
        _DOC,
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
        _GROUPS,
        _ACL,
        _RUN,
    ),
)

ACL_KEYS = Table(
    "silver.acl_keys",
    grain="one distinct set of groups of one tenant",
    key=("tenant_id", "acl_key"),
    partition_by=("tenant_id",),
    forget=Forget.TENANT,
    columns=(_TENANT, _ACL, _GROUPS),
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
        _TENANT,
        _SOURCE,
        _DOC,
        _NAME,
        Column("alias", Type.STRING, f"How the name comes from the title: {_ALIAS}."),
        Column("namesakes", Type.INT, "Documents of the tenant that have this name, this one included."),
        Column("mentioned_in", Type.INT, "Documents that mention the name without having it; 0: none does."),
        Column(
            "is_common",
            Type.BOOL,
            "True for a name that makes no links, because too many documents have it or mention it.",
        ),
        _ACL,
        _RUN,
    ),
)

MENTIONS = Table(
    "silver.mentions",
    grain="one name or link target in one chunk, whether or not it leads to a document",
    key=("tenant_id", "chunk_id", "kind", "target"),
    partition_by=("tenant_id",),
    forget=Forget.DOCUMENT,
    columns=(
        _TENANT,
        Column("chunk_id", Type.STRING, "Chunk that holds it; joins `silver.chunks`."),
        _SOURCE,
        _DOC,
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
        _ACL,
        _RUN,
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
        _TENANT,
        Column("chunk_id", Type.STRING, "Chunk that holds the mention or hyperlink; joins `silver.chunks`."),
        _SOURCE,
        _DOC,
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
        _RUN,
    ),
)

FREQUENCIES = Table(
    "silver.frequencies",
    grain="one name or term of one tenant's chunks, and how many of them hold it",
    key=("tenant_id", "key"),
    partition_by=("tenant_id",),
    forget=Forget.TENANT,
    columns=(
        _TENANT,
        Column("key", Type.LONG, "64 bits of BLAKE2b of `own:`, `say:` or `term:` and the name or term; no text."),
        Column("chunks", Type.LONG, "Live chunks that hold it, 1 or more; `chunk:` is a key of every chunk."),
        _RUN,
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
        _RUN,
    ),
)

INDEX_VERSIONS = Table(
    "ops.index_versions",
    grain="one Milvus collection that was built for one tenant",
    key=("tenant_id", "collection"),
    forget=Forget.TENANT,
    columns=(
        _TENANT,
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
        _TENANT,
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
        _TENANT,
        _SOURCE,
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
            "Files of a local folder that no document was made of and none was expected: hidden, ignored by git, or "
            "below a folder that was refused; the run's log counts each. NULL: not this step's.",
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

LLM_CALLS_RAW = Table(
    "bronze.llm_calls",
    grain="one call record as a service spooled it; a record can be here twice after a crash",
    key=("call_id",),
    forget=Forget.BILL,
    columns=(
        Column("call_id", Type.STRING, "Id of the call."),
        Column("record", Type.STRING, "The record as JSON, unaltered."),
        Column("spool_file", Type.STRING, "Spool segment that it came in."),
        Column("loaded_at", Type.TIME, "When it was loaded."),
    ),
)

LLM_CALLS = Table(
    "silver.llm_calls",
    grain="one model call, tool call, search or finished task, exactly once",
    key=("call_id",),
    forget=Forget.BILL,
    columns=(
        Column("call_id", Type.STRING, "Id of the call."),
        Column("task_id", Type.STRING, "Task that it served."),
        Column(
            "operation",
            Type.STRING,
            "`chat` (a model call), `retrieval`, `execute_tool`, or `invoke_agent`: the task "
            "itself, once it ended (OpenTelemetry's GenAI names).",
        ),
        Column("started_at", Type.TIME, "When it began."),
        Column("latency_ms", Type.DOUBLE, "How long it took, milliseconds."),
        _TENANT,
        Column("user_id", Type.STRING, "Who asked, as the app says; NULL when it does not say.", True),
        Column("app", Type.STRING, "App of the API key."),
        Column("key_id", Type.STRING, "API key that it was charged to."),
        Column("program", Type.STRING, "Program that ran, e.g. `multihop`; `search` for a bare search."),
        Column("program_version", Type.STRING, "Version of the compiled program; `uncompiled` for none."),
        Column(
            "agent",
            Type.STRING,
            "Step of the program that made the call, e.g. `read`; the tool's name for a tool.",
        ),
        Column(
            "hop",
            Type.INT,
            "Which search of the task it belongs to, from 1; 0: before the first or outside any.",
        ),
        Column("model", Type.STRING, "Model called; NULL for anything but a model call.", True),
        Column("input_tokens", Type.LONG, "Prompt tokens, cached ones included; 0 where there is no model."),
        Column(
            "cached_tokens",
            Type.LONG,
            "Prompt tokens that the model server had cached; part of `input_tokens`.",
        ),
        Column("output_tokens", Type.LONG, "Tokens that the model wrote."),
        Column("usd", Type.MONEY, "What it cost, US dollars, e.g. 0.0000123400; 0 for what has no price."),
        Column("saved_usd", Type.MONEY, "What caching saved against the uncached price, US dollars."),
        Column(
            "price_from",
            Type.STRING,
            "Effective date of the price used, e.g. `2026-01-01`; NULL where none applies.",
            True,
        ),
        Column("attempt", Type.INT, "1 for the first try, 2 for its first retry …"),
        Column("cache_hit", Type.BOOL, "True when an answer of our own cache was used."),
        Column(
            "outcome",
            Type.STRING,
            "`ok` or `error` for a call; a task's status for a task (`answered`, `partial`, …).",
        ),
        Column("error", Type.STRING, "What went wrong, one line; NULL when nothing did.", True),
        Column("loaded_at", Type.TIME, "When the row entered the lakehouse."),
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
        _TENANT,
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

AGENT_PROGRAMS = Table(
    "ops.agent_programs",
    grain="one compiled version of one program",
    key=("program", "version"),
    forget=Forget.KEPT,
    columns=(
        Column("program", Type.STRING, "Program, e.g. `multihop`."),
        Column("version", Type.STRING, "Hash of the compiled program."),
        Column("optimizer", Type.STRING, "DSPy optimizer that compiled it."),
        Column("model", Type.STRING, "Model that it was compiled for."),
        Column("trained_on", Type.INT, "Questions that the optimizer saw."),
        Column("tested_on", Type.INT, "Other questions that gave the scores."),
        Column("score_before", Type.DOUBLE, "Share of the test questions answered rightly before, 0 to 1."),
        Column("score_after", Type.DOUBLE, "The same after."),
        Column("live", Type.BOOL, "True for the version that the gateway loads."),
        Column("why", Type.STRING, "Why it is live or not."),
        Column("created_at", Type.TIME, "When it was compiled."),
    ),
)

EVAL_RUNS = Table(
    "gold.eval_runs",
    grain="one evaluation of one program on one set of questions",
    key=("run_id",),
    forget=Forget.TENANT,
    columns=(
        Column("run_id", Type.STRING, "Id of the evaluation."),
        _TENANT,
        Column(
            "program", Type.STRING, "Program asked; `search` or `search_multihop` when only retrieval was measured."
        ),
        Column("questions", Type.STRING, "Name of the questions file."),
        Column("n", Type.INT, "Questions asked."),
        Column(
            "em",
            Type.DOUBLE,
            "Share of exact matches after normalisation, 0 to 1; NULL without gold answers.",
            True,
        ),
        Column("f1", Type.DOUBLE, "Mean token F1, 0 to 1; NULL without gold answers.", True),
        Column(
            "success",
            Type.DOUBLE,
            "Share of answers that hold a gold answer, 0 to 1; NULL without gold answers.",
            True,
        ),
        Column(
            "recall_at_2",
            Type.DOUBLE,
            "Mean share of gold documents in the first 2; NULL without gold ids.",
            True,
        ),
        Column("recall_at_5", Type.DOUBLE, "The same in the first 5.", True),
        Column("usd_total", Type.MONEY, "What all its tasks cost, US dollars."),
        Column("p50_s", Type.DOUBLE, "Median seconds of a question."),
        Column("p95_s", Type.DOUBLE, "95th percentile."),
        Column("started_at", Type.TIME, "When it began."),
    ),
)

EVAL_RESULTS = Table(
    "gold.eval_results",
    grain="one question of one evaluation",
    key=("run_id", "question_id"),
    forget=Forget.EVAL_RUN,
    columns=(
        Column("run_id", Type.STRING, "Evaluation that asked it."),
        Column("question_id", Type.STRING, "Its id in the questions file."),
        Column(
            "task_id",
            Type.STRING,
            "Task that answered it; joins `silver.llm_calls`. NULL when it failed first.",
            True,
        ),
        Column("answer", Type.STRING, "Answer given; NULL when only retrieval was measured.", True),
        Column("status", Type.STRING, "The task's status."),
        Column("em", Type.BOOL, "Exact match after normalisation; NULL without a gold answer.", True),
        Column("f1", Type.DOUBLE, "Token F1; NULL without a gold answer.", True),
        Column("success", Type.BOOL, "The answer holds a gold answer; NULL without one.", True),
        Column("recall_at_2", Type.DOUBLE, "Share of gold documents in the first 2; NULL without gold ids.", True),
        Column("recall_at_5", Type.DOUBLE, "The same in the first 5.", True),
        Column("usd", Type.MONEY, "What it cost, US dollars."),
        Column("seconds", Type.DOUBLE, "How long it took."),
    ),
)

TABLES: tuple[Table, ...] = (
    DOCUMENTS,
    QUARANTINE,
    CHUNKS,
    ACL_KEYS,
    TITLES,
    MENTIONS,
    LINKS,
    FREQUENCIES,
    EMBEDDINGS,
    INDEX_VERSIONS,
    RECONCILE_RUNS,
    INGEST_RUNS,
    FORGET_RUNS,
    LLM_CALLS_RAW,
    LLM_CALLS,
    AGENT_PROGRAMS,
    EVAL_RUNS,
    EVAL_RESULTS,
)
