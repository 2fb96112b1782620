"""Read-only SQL over every table and gold view, on one machine and without a server: DuckDB over Delta.

DuckDB's Delta extension is a download; here the rows come as Arrow streams from `deltalake`, which is in the
environment. A table is opened only when a statement reads it. The Spark Thrift server offers the same tables and views
where one machine is too small.
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

SCHEMAS = ("gold", "silver", "bronze", "ops")  # in the order of the search path
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)  # SHOW, DESCRIBE and WITH parse as SELECT


@dataclass(frozen=True)
class QueryResult:
    """A result ready for JSON: decimals are strings with all places, times are ISO 8601 in UTC."""

    columns: list[str]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class QueryScope:
    """Limits of a caller's query: rows of one tenant that the caller may read, and bounds on rows, time and memory."""

    tenant_id: str
    allowed_keys: tuple[str, ...]
    max_rows: int = 1_000
    max_seconds: float = 10.0
    memory_mb: int = 512

    def tables(self) -> list[Table]:
        """Tables whose rows carry their tenant, and their `acl_key` if they hold text of documents."""
        return [table for table in TABLES if "tenant_id" in table.column_names and self._carries_rights(table)]

    def readable(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of a batch that the caller may read."""
        mine = pc.equal(batch["tenant_id"], self.tenant_id)
        for name in batch.schema.names:
            if name.endswith("acl_key"):
                mine = pc.and_(mine, pc.is_in(batch[name], pa.array(self.allowed_keys, pa.string())))
        return batch.filter(pc.fill_null(mine, False))

    @staticmethod
    def _carries_rights(table: Table) -> bool:
        if table.forget is Forget.MEMORY:  # it belongs to one user, not to the tenant
            return False
        return table.forget is not Forget.DOCUMENT or any(name.endswith("acl_key") for name in table.column_names)


def run_query(settings: Settings, statement: str, scope: QueryScope | None = None) -> QueryResult:
    """Run one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN statement, over all rows or over the rows of a scope.

    Raises InvalidInput for other statements and for errors of DuckDB, Unavailable when the warehouse can't be read.
    """
    streams = [_TableStream(settings, table, scope) for table in (scope.tables() if scope else TABLES)]
    with duckdb.connect(config={"python_enable_replacements": "false"}) as connection:
        _check_reads_only(connection, statement)
        _register(connection, streams, scope)
        try:
            with _timed(connection, scope):  # not before: an interrupt of an idle connection is lost
                relation = connection.sql(statement)
                result = pa.table({}) if relation is None else _fetch(relation, scope)
        except duckdb.InterruptException:
            raise InvalidInput(f"{statement[:80]!r}: ran out of time. Ask for less.") from None
        except duckdb.Error as error:
            for stream in streams:
                if stream.failure is not None:
                    raise Unavailable(
                        "warehouse", f"{stream.table.name}: {first_line(stream.failure)}"
                    ) from stream.failure
            raise InvalidInput(f"{error}") from None
    return _json_ready(result)


class _TableStream:
    """A Delta table as an Arrow source for DuckDB; its rows are read at each scan."""

    def __init__(self, settings: Settings, table: Table, scope: QueryScope | None) -> None:
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
    # DuckDB looks for the columns of a PIVOT without IN by a statement of its own
    if "MULTI" in {part.type.name for part in parsed} and "pivot" in statement.lower():
        raise InvalidInput(
            f"{statement!r}: a PIVOT without IN is not read, because its columns depend on the rows. Name the values: "
            "FROM (PIVOT table ON column IN ('a', 'b') USING sum(number) GROUP BY other), or use "
            "sum(number) FILTER (WHERE column = 'a')."
        )
    if len(parsed) != 1 or parsed[0].type not in _READS:
        kinds = ", ".join(part.type.name for part in parsed) or "nothing"
        raise InvalidInput(
            f"{statement!r} is {kinds}: must be one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN. The tables are written by "
            "Spark jobs only; `SHOW ALL TABLES` lists them."
        )


def _fetch(relation: duckdb.DuckDBPyRelation, scope: QueryScope | None) -> pa.Table:
    """The first rows, up to the limit of the scope. A LIMIT around the statement could lose its order."""
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
def _timed(connection: duckdb.DuckDBPyConnection, scope: QueryScope | None) -> Iterator[None]:
    """Interrupt a query at the time limit of its scope."""
    if scope is None:
        yield
        return
    timer = threading.Timer(scope.max_seconds, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # an interrupt of a closed connection would fail


def _register(connection: duckdb.DuckDBPyConnection, streams: list[_TableStream], scope: QueryScope | None) -> None:
    """Register tables and views, then lock DuckDB: no files, no extensions, no further settings."""
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
            if scope is None:  # within a scope, a view over a table outside of it does not exist
                raise
    if scope:
        connection.execute(f"SET memory_limit = '{scope.memory_mb}MB'; SET threads = 1")
    connection.execute(f"SET search_path = '{','.join(SCHEMAS)}'")
    connection.execute("SET temp_directory = ''; SET enable_external_access = false; SET lock_configuration = true")


def _json_ready(result: pa.Table) -> QueryResult:
    columns = result.column_names
    repeated = [name for name, count in Counter(columns).items() if count > 1]
    if repeated:
        raise InvalidInput(f"column {repeated[0]!r} occurs twice in the result. Name one of them with AS.")
    whole = {field.name for field in result.schema if pa.types.is_decimal(field.type) and field.type.scale == 0}
    rows = [
        {name: int(value) if name in whole and value is not None else _plain(value) for name, value in row.items()}
        for row in result.to_pylist()
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
