"""The classes that declare a table, and the columns that many tables share."""

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
    """How `lakehop forget` treats the rows of a table. Every table has one, so none with text is left out."""

    DOCUMENT = "go with their document, by tenant_id, source and doc_id (or any column that ends in doc_id)"
    UNUSED_TEXT = "go once no chunk of any tenant has their content_hash"
    MEMORY = "go with any document that they quote, by sources and doc_ids, and with their tenant"
    TENANT = "go with their tenant"
    EVAL_RUN = "go with their tenant's evaluation, by run_id"
    BILL = "stay: they are the bill. Errors and sub-tasks of a removed tenant's calls go, because they may quote"
    KEPT = "stay: they hold no document's text"


@dataclass(frozen=True)
class Rule:
    """A condition on every row. A row that breaks it goes to quarantine, with a reason that begins with `name`."""

    name: str
    doc: str


@dataclass(frozen=True)
class Table:
    """One Delta table. `name` is `schema.table`; `grain` describes one row."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    forget: Forget | None = None
    rules: tuple[Rule, ...] = ()
    written_by_services: bool = False
    """Whether services write it too. Then a file that no commit names may belong to a service's commit in progress."""
    is_followed: bool = False
    """Whether a step follows its changes. Other tables have no change feed: a feed keeps deleted rows, and a merge
    writes each changed row to it twice, old and new."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def path(self, root: str) -> str:
        """Where the table lies under a warehouse root: `root/schema/table`."""
        return f"{root}/{self.name.replace('.', '/')}"


TENANT = Column("tenant_id", Type.STRING, "Tenant of the row, e.g. `acme`; no query reads two tenants.")
SOURCE = Column(
    "source",
    Type.STRING,
    "Name of the folder, file or feed of the document, e.g. `wiki`; a snapshot deletes within one source.",
)
DOC = Column(
    "doc_id", Type.STRING, "The document's id in its source, given or the path below the folder, e.g. `hr/plan.docx`."
)
DOCUMENT_TYPE = Column(
    "document_type",
    Type.STRING,
    "Format by the usual suffix, e.g. `pdf`, `md` or `html`; of a line or row: its own `document_type`, else `record`; "
    "NULL in rows of releases without this column.",
    True,
)
AUTHOR = Column(
    "author",
    Type.STRING,
    "Author by the file's properties or headers, or by the line or row, e.g. `Ida Kestrel`; NULL: none is named.",
    True,
)
RUN = Column(
    "ingest_run_id",
    Type.STRING,
    "Run that last changed the row, e.g. `acme-2026-11-30T08:00:00`; joins `ops.ingest_runs`.",
)
GROUPS = Column(
    "acl_groups",
    Type.STRINGS,
    "Groups whose members may read the document, sorted, e.g. `[eng, hr]`; empty: all of the tenant.",
)
ACL = Column("acl_key", Type.STRING, "Hash of `acl_groups`; joins `silver.acl_keys` and filters every search.")
