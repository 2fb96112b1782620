"""Read-only SQL over every table and gold view, on one machine and without a server: DuckDB over Delta.

DuckDB's own Delta extension is a download; here the rows come as Arrow streams from `deltalake`, which is part of the
environment. A table is opened when a statement reads it and not before, so a query costs what it touches. Analysts
who need more than one machine use the Spark Thrift server, which shows the same names.
"""

import math
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.access.permissions import check_tenant
from lakehouse.analytics.gold import VIEWS
from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage.delta import arrow_schema, existing_table, first_line
from lakehouse.tables import TABLES, Forget, Table

SCHEMAS = ("gold", "silver", "bronze", "ops")  # also the order in which a name without a schema is looked up
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)  # SHOW, DESCRIBE and WITH parse as SELECT


@dataclass(frozen=True)
class QueryResult:
    """A result that is ready for JSON: decimals are strings that keep all places, times ISO 8601 in UTC."""

    columns: list[str]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Scope:
    """What a query may see and use, where it is not an operator's: rows of one tenant that a caller may read."""

    tenant_id: str
    allowed_keys: tuple[str, ...]
    max_rows: int = 1_000
    max_seconds: float = 10.0
    memory_mb: int = 512

    def tables(self) -> list[Table]:
        """Those in which each row says whose it is; and by `acl_key`, where they hold what stands in documents."""
        return [table for table in TABLES if "tenant_id" in table.column_names and self._tells_rights(table)]

    def readable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a table that the scope covers."""
        mine = pc.equal(batch["tenant_id"], self.tenant_id)
        for name in batch.schema.names:
            if name.endswith("acl_key"):
                mine = pc.and_(mine, pc.is_in(batch[name], pa.array(self.allowed_keys, pa.string())))
        return batch.filter(pc.fill_null(mine, False))

    @staticmethod
    def _tells_rights(table: Table) -> bool:
        if table.forget is Forget.MEMORY:  # a user's own, and not all of the tenant's
            return False
        return table.forget is not Forget.DOCUMENT or any(name.endswith("acl_key") for name in table.column_names)


def run_query(settings: Settings, statement: str, scope: Scope | None = None) -> QueryResult:
    """Run one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN statement over all rows, or over those of a scope.

    Raises InvalidInput for anything else and for what DuckDB refuses, Unavailable when the warehouse can't be read.
    """
    streams = [_TableStream(settings, table, scope) for table in (scope.tables() if scope else TABLES)]
    with duckdb.connect(config={"python_enable_replacements": "false"}) as connection, _timed(connection, scope):
        _check_reads_only(connection, statement)
        _register(connection, streams, scope)
        try:
            relation = connection.sql(statement)
            found = pa.table({}) if relation is None else _fetched(relation, scope)
        except duckdb.InterruptException:
            raise InvalidInput(f"{statement[:80]!r}: ran out of time. Ask for less.") from None
        except duckdb.Error as error:
            for stream in streams:
                if stream.failure is not None:
                    raise Unavailable(
                        "warehouse", f"{stream.table.name}: {first_line(stream.failure)}"
                    ) from stream.failure
            raise InvalidInput(f"{error}") from None
    return _json_ready(found)


class _TableStream:
    """A Delta table as DuckDB's Arrow source: its schema is the declared one, its rows are read at each scan."""

    def __init__(self, settings: Settings, table: Table, scope: Scope | None) -> None:
        self.table = table
        self.failure: Exception | None = None
        self._settings = settings
        self._scope = scope

    def __arrow_c_schema__(self) -> object:
        return arrow_schema(self.table).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        schema = arrow_schema(self.table)
        try:
            delta_table = existing_table(self._settings, self.table)
            if delta_table is None:
                return schema.empty_table().__arrow_c_stream__()
            predicate = f"tenant_id = '{check_tenant(self._scope.tenant_id)}'" if self._scope else None
            scan = delta_table.scan(columns=list(self.table.column_names), predicate=predicate)
            rows = pa.RecordBatchReader.from_stream(scan).cast(schema)  # deltalake reads strings as string_view
        except Exception as error:
            self.failure = error
            raise
        if self._scope:
            rows = pa.RecordBatchReader.from_batches(schema, map(self._scope.readable, rows))
        return rows.__arrow_c_stream__()


def _check_reads_only(connection: duckdb.DuckDBPyConnection, statement: str) -> None:
    try:
        parsed = connection.extract_statements(statement)
    except duckdb.Error as error:
        raise InvalidInput(f"{error}") from None
    if len(parsed) != 1 or parsed[0].type not in _READS:
        kinds = ", ".join(one.type.name for one in parsed) or "nothing"
        raise InvalidInput(
            f"{statement!r} is {kinds}: must be one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN. The tables are written by "
            "Spark jobs only; `SHOW ALL TABLES` lists them."
        )


def _fetched(relation: duckdb.DuckDBPyRelation, scope: Scope | None) -> pa.Table:
    """All rows, or the first that a scope allows; a LIMIT around the statement might lose its order."""
    if scope is None:
        return relation.to_arrow_table()
    reader = relation.to_arrow_reader(scope.max_rows)
    batches: list[pa.RecordBatch] = []
    for batch in reader:
        batches.append(batch.slice(0, scope.max_rows - sum(map(len, batches))))
        if sum(map(len, batches)) == scope.max_rows:
            break
    return pa.Table.from_batches(batches, reader.schema)


@contextmanager
def _timed(connection: duckdb.DuckDBPyConnection, scope: Scope | None) -> Iterator[None]:
    """Interrupt what runs longer than a scope allows."""
    if scope is None:
        yield
        return
    timer = threading.Timer(scope.max_seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # an interrupt must not meet a closed connection


def _register(connection: duckdb.DuckDBPyConnection, streams: list[_TableStream], scope: Scope | None) -> None:
    """Name all tables and views, then shut DuckDB in: no file, no extension, and no setting that could undo it."""
    connection.execute("SET TimeZone = 'UTC'")
    for schema in SCHEMAS:
        connection.execute(f"CREATE SCHEMA {schema}")
    for stream in streams:
        source = "_" + stream.table.name.replace(".", "_")
        connection.register(source, stream)
        connection.execute(f"CREATE VIEW {stream.table.name} AS FROM {source}")
    for view in VIEWS:
        try:
            connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
        except duckdb.CatalogException:
            if scope is None:  # a view over a table that the scope does not cover is not covered either
                raise
    if scope:
        connection.execute(f"SET memory_limit = '{scope.memory_mb}MB'; SET threads = 1")
    connection.execute(f"SET search_path = '{','.join(SCHEMAS)}'")
    connection.execute("SET temp_directory = ''; SET enable_external_access = false; SET lock_configuration = true")


def _json_ready(found: pa.Table) -> QueryResult:
    columns = found.column_names
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise InvalidInput(f"column {repeated[0]!r} occurs twice in the result. Name one of them with AS.")
    whole = {field.name for field in found.schema if pa.types.is_decimal(field.type) and field.type.scale == 0}
    rows = [
        {name: int(value) if name in whole and value is not None else _plain(value) for name, value in row.items()}
        for row in found.to_pylist()
    ]
    return QueryResult(columns, rows)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)  # JSON has no NaN
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date | time_of_day):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value)
