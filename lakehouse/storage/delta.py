"""Delta tables without a JVM: services and the command line read and write single rows through `deltalake`.

Spark does the bulk work and takes 10 seconds to start; an append from here takes milliseconds. Both sides use the same
tables, so tables created here have the properties that Spark's jobs expect: the change data feed where a job is
incremental, and no deletion vectors, which deltalake cannot read.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from deltalake.table import TableMerger
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import Settings
from lakehouse.tables import TABLES, Column, Forget, Table, Type

Row = Mapping[str, Any]
Filter = tuple[str, str, Any]
"""Column, operator (one of `OPERATORS`), and value; a collection of values for `in` and `not in`."""
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in")

# With statistics, the log would keep the first 32 characters of each file's least and greatest text after
# `lakehop forget`.
_NO_TEXT_IN_LOG = {"delta.dataSkippingNumIndexedCols": "0"}
_HOLDS_TEXT = (Forget.DOCUMENT, Forget.EVAL_RUN, Forget.BILL, Forget.MEMORY)

ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.STRING: pa.string(),
    Type.STRINGS: pa.list_(pa.string()),
    Type.INT: pa.int32(),
    Type.INTS: pa.list_(pa.int32()),
    Type.LONG: pa.int64(),
    Type.DOUBLE: pa.float64(),
    Type.BOOL: pa.bool_(),
    Type.TIME: pa.timestamp("us", tz="UTC"),
    Type.MONEY: pa.decimal128(18, 10),
    Type.VECTOR: pa.list_(pa.float32()),
}

_MERGE_ATTEMPTS = 20  # eight processes that merged into one table without a pause needed up to eight
# An append conflicts with no other write; it only has to find a free version number.
_APPENDS = CommitProperties(max_commit_retries=50)


def arrow_schema(table: Table) -> pa.Schema:
    """The table's columns in order, with their nullability."""
    return pa.schema([pa.field(c.name, ARROW_TYPES[c.type], nullable=c.nullable) for c in table.columns])


def table_uri(settings: Settings, table: Table) -> str:
    """Address of the table for deltalake, which spells Hadoop's `s3a://` as `s3://`."""
    path = table.path(settings.warehouse_root)
    return "s3://" + path.removeprefix("s3a://") if path.startswith("s3a://") else path


def ensure_tables(settings: Settings) -> None:
    """Create every declared table that does not exist yet, and add newly declared columns to the others."""
    for table in TABLES:
        with _reachable(table):
            open_table(settings, table)


def open_table(settings: Settings, table: Table) -> DeltaTable:
    """The table at its newest version, created empty if it does not exist, with every declared column.

    A column that was declared after the table was created is NULL in old rows. Raises InvalidInput if the column may
    not be NULL.
    """
    opened = existing_table(settings, table) or _created(settings, table)
    return _with_declared_columns(opened, table)


def _created(settings: Settings, table: Table) -> DeltaTable:
    try:
        return DeltaTable.create(
            table_uri(settings, table),
            arrow_schema(table),
            mode="ignore",  # another process may have created it in the meantime
            partition_by=list(table.partition_by),
            description=table.grain,
            storage_options=settings.delta_storage,
            configuration=_properties(table),
        )
    except CommitFailedError:  # another process created it at the same moment
        return DeltaTable(table_uri(settings, table), storage_options=settings.delta_storage)


def _properties(table: Table) -> dict[str, str]:
    properties = {
        "delta.enableChangeDataFeed": str(table.is_followed).lower(),
        "delta.enableDeletionVectors": "false",
    }
    return properties | (_NO_TEXT_IN_LOG if table.forget in _HOLDS_TEXT else {})


def existing_table(settings: Settings, table: Table) -> DeltaTable | None:
    """The table at its newest version; None if it does not exist."""
    try:
        return DeltaTable(table_uri(settings, table), storage_options=settings.delta_storage)
    except TableNotFoundError:
        return None


def _with_declared_columns(opened: DeltaTable, table: Table) -> DeltaTable:
    def missing() -> list[Column]:
        present = {field.name for field in opened.schema().fields}
        return [column for column in table.columns if column.name not in present]

    def add() -> None:
        opened.update_incremental()  # another process may have added them in the meantime
        if columns := missing():
            declared = Schema.from_arrow(pa.schema([pa.field(c.name, ARROW_TYPES[c.type]) for c in columns]))
            opened.alter.add_columns(declared.fields)

    for column in missing():
        if not column.nullable:
            raise InvalidInput(
                f"{table.name}: the table there has no column {column.name!r}, and its old rows would be NULL, which "
                "is not allowed. Declare the column nullable, or move the old table away."
            )
    if missing():
        with _reachable(table):
            _retry_conflicts(add)
    return opened


def append(settings: Settings, table: Table, rows: Sequence[Row]) -> None:
    """Add rows in one commit; without rows there is no commit. Several processes may append at once.

    Raises InvalidInput as `to_arrow` does, Unavailable when the storage fails.
    """
    if rows:
        data = to_arrow(table, rows)
        with _reachable(table):
            write_deltalake(open_table(settings, table), data, mode="append", commit_properties=_APPENDS)


def upsert(settings: Settings, table: Table, rows: Sequence[Row]) -> None:
    """Write rows by `table.key` in one commit: the row of a known key is replaced, the row of a new key is added.

    Several processes may write at once. Raises InvalidInput as `to_arrow` does and for two rows with one key,
    Unavailable when the storage fails or conflicts with other writers do not end.
    """
    if not rows:
        return
    data = to_arrow(table, rows)
    _check_unique(table, rows)
    _merge(settings, table, data, lambda merger: merger.when_matched_update_all().when_not_matched_insert_all())


def update(settings: Settings, table: Table, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Write the named columns of rows by `table.key` in one commit; the row of a new key is added whole.

    Raises as `upsert` does.
    """
    changed = {name: f"source.{name}" for name in columns}
    data = to_arrow(table, rows)
    _merge(settings, table, data, lambda merger: merger.when_matched_update(changed).when_not_matched_insert_all())


def replace_version(settings: Settings, table: Table, row: Row, read_version: int) -> bool:
    """Replace the row of the same key if its `version` still is `read_version`; return whether it was replaced.

    Of several processes that read the same version, one succeeds. Raises as `upsert` does.
    """
    unchanged = f"target.version = {read_version}"
    data = to_arrow(table, [row])
    metrics = _merge(settings, table, data, lambda merger: merger.when_matched_update_all(predicate=unchanged))
    return bool(metrics["num_target_rows_updated"])


def delete(settings: Settings, table: Table, rows: Sequence[Row]) -> None:
    """Delete rows by `table.key`. Uses a merge, because the condition of a DELETE stays in the table's log."""
    if rows:
        _merge(settings, table, to_arrow(table, rows), lambda merger: merger.when_matched_delete())


def purge_deleted(settings: Settings, table: Table) -> int:
    """Delete the files that earlier commits removed from the table; return their number.

    Only for tables without a change feed reader. Files that no commit names stay: a writer may be about to commit them.
    """
    with _reachable(table):
        opened = open_table(settings, table)
        return len(opened.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False))


def rows_in_files(settings: Settings, table: Table, tenant_id: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The columns of every row in the tenant's files, including files that the newest version no longer names."""
    with _reachable(table):
        if existing_table(settings, table) is None:
            return []
        handler = DeltaStorageHandler(table_uri(settings, table), settings.delta_storage)
        files = pa.fs.PyFileSystem(handler)
        below = pa.fs.FileSelector(f"tenant_id={tenant_id}", allow_not_found=True, recursive=True)
        paths = [file.path for file in files.get_file_info(below) if file.path.endswith(".parquet")]
        return [
            row for path in paths for row in pq.read_table(path, columns=list(columns), filesystem=files).to_pylist()
        ]


def _merge(
    settings: Settings, table: Table, data: pa.Table, actions: Callable[[TableMerger], TableMerger]
) -> dict[str, Any]:
    """Merge rows by `table.key`; return the engine's metrics."""
    same_key = " AND ".join(f"target.{name} = source.{name}" for name in table.key)
    metrics: dict[str, Any] = {}

    def merge() -> None:
        merger = open_table(settings, table).merge(
            data, predicate=same_key, source_alias="source", target_alias="target"
        )
        metrics.update(actions(merger).execute())

    with _reachable(table):
        _retry_conflicts(merge)
    return metrics


def read_rows(
    settings: Settings, table: Table, where: Sequence[Filter] = (), columns: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Rows that pass every filter in `where`, e.g. `[("tenant_id", "=", "acme")]`, in no defined order.

    `columns`: the columns to read; empty means all. Filters on partition columns skip whole files. A table that does
    not exist has no rows. Raises InvalidInput for an unknown column or operator.
    """
    return [row for batch in read_batches(settings, table, where, columns) for row in batch.to_pylist()]


def read_batches(
    settings: Settings, table: Table, where: Sequence[Filter] = (), columns: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows of `read_rows` as Arrow batches, for results that are too large for Python objects."""
    predicate = " AND ".join(_predicate(table, *condition) for condition in where)
    with _reachable(table):
        delta_table = existing_table(settings, table)
        if delta_table is None:
            return
        # not to_pyarrow_table: a merge writes strings as string_view, which pyarrow's filters cannot compare
        scan = delta_table.scan(columns=list(columns) or None, predicate=predicate or None)
        yield from pa.RecordBatchReader.from_stream(scan)


def to_arrow(table: Table, rows: Sequence[Row]) -> pa.Table:
    """Rows as Arrow. A nullable column that is missing in a row is NULL.

    Raises InvalidInput naming the row and column: unknown column, missing value, wrong type, time without a zone.
    """
    for number, row in enumerate(rows):
        _check_names(table, number, row)
    return pa.table([_column(table, column, rows) for column in table.columns], schema=arrow_schema(table))


def _predicate(table: Table, name: str, operator: str, value: Any) -> str:
    if name not in table.column_names:
        raise InvalidInput(f"{table.name}: no column {name!r}. Its columns are {', '.join(table.column_names)}.")
    if operator not in OPERATORS:
        raise InvalidInput(f"operator {operator!r}: must be one of {', '.join(OPERATORS)}.")
    if operator.endswith("in"):
        literals = ", ".join(_literal(item) for item in value)
        none_match = "FALSE" if operator == "in" else "TRUE"
        return f'"{name}" {operator.upper()} ({literals})' if literals else none_match
    return f'"{name}" {operator} {_literal(value)}'


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | float | Decimal):
        return str(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.astimezone(UTC).isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def _check_names(table: Table, number: int, row: Row) -> None:
    unknown = sorted(set(row) - set(table.column_names))
    if unknown:
        raise InvalidInput(
            f"{table.name} row {number}: no column {unknown[0]!r}. Its columns are {', '.join(table.column_names)}."
        )
    for column in table.columns:
        if not column.nullable and row.get(column.name) is None:
            raise InvalidInput(f"{table.name} row {number}: {column.name!r} is missing. {column.doc}")


def _column(table: Table, column: Column, rows: Sequence[Row]) -> pa.Array:
    values = [row.get(column.name) for row in rows]
    if column.type is Type.TIME:
        for number, value in enumerate(values):
            if isinstance(value, datetime) and value.tzinfo is None:
                raise InvalidInput(
                    f"{table.name} row {number}: {column.name}={value!r} has no time zone. Give it in UTC."
                )
    try:
        return pa.array(values, type=ARROW_TYPES[column.type])
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InvalidInput(f"{table.name}.{column.name} must be {column.type.value}: {error}") from None


def _check_unique(table: Table, rows: Sequence[Row]) -> None:
    counts = Counter(tuple(row[name] for name in table.key) for row in rows)
    key, count = counts.most_common(1)[0]
    if count > 1:
        named = ", ".join(f"{name}={value!r}" for name, value in zip(table.key, key, strict=True))
        raise InvalidInput(f"{table.name}: {count} rows for the key {named}. Send one row a key.")


_retry_conflicts = Retrying(
    retry=retry_if_exception_type(CommitFailedError),
    stop=stop_after_attempt(_MERGE_ATTEMPTS),
    wait=wait_random_exponential(multiplier=0.05, max=1.6),
    reraise=True,
)
"""Commits again after a conflict with another writer."""


@contextmanager
def _reachable(table: Table) -> Iterator[None]:
    try:
        yield
    except CommitFailedError as error:
        raise Unavailable(
            "warehouse", f"{table.name}: conflicts with other writers did not end: {first_line(error)}. Try again."
        ) from error
    except (DeltaError, OSError) as error:
        raise Unavailable(
            "warehouse",
            f"{table.name} cannot be read or written: {first_line(error)}. Check LAKEHOP_WAREHOUSE and its storage.",
        ) from error


def first_line(error: Exception) -> str:
    """The error's message without the backtrace that deltalake appends."""
    return str(error).split("\n", 1)[0]
