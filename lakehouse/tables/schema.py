"""What a table's declaration is made of, and the columns that many tables share."""

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
    MEMORY = "go with any document that they rest on, by sources and doc_ids, and with their tenant"
    TENANT = "go with their tenant"
    EVAL_RUN = "go with their tenant's evaluation, by run_id"
    BILL = "stay, for they are the bill; errors and sub-tasks of a removed tenant's calls go, for they may quote"
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
    written_by_services: bool = False
    """Whether processes beside the jobs write it: then a file that no commit names yet may be one of theirs."""
    is_followed: bool = False
    """Whether a step follows its changes. No other table has a change feed, which keeps what was deleted and makes a
    merge write the rows that it changes once more, as they were and as they are."""

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def path(self, root: str) -> str:
        """Where the table lies under a warehouse root: `root/schema/table`."""
        return f"{root}/{self.name.replace('.', '/')}"


TENANT = Column("tenant_id", Type.STRING, "Whose row it is, e.g. `acme`; no query crosses it.")
SOURCE = Column("source", Type.STRING, "Name of the folder, file or feed that it came from; snapshots act within one.")
DOC = Column("doc_id", Type.STRING, "The document's id in its source: the given id, or the path below the folder.")
RUN = Column("ingest_run_id", Type.STRING, "Run that last changed the row; joins `ops.ingest_runs`.")
GROUPS = Column("acl_groups", Type.STRINGS, "Groups that may read it, sorted; empty: all of the tenant.")
ACL = Column("acl_key", Type.STRING, "Hash of `acl_groups`; joins `silver.acl_keys` and filters every search.")
