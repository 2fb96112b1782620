"""Read-only SQL over every table and gold view, on one machine and without a server: DuckDB over Delta.

DuckDB's own Delta extension is a download; here the rows come as Arrow streams from `deltalake`, which is part of the
environment. A table is opened when a statement reads it and not before, so a query costs what it touches. Analysts
who need more than one machine use the Spark Thrift server, which shows the same names.
"""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from lakehouse.delta import arrow_schema, existing_table, first_line
from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.gold import VIEWS
from lakehouse.settings import Settings
from lakehouse.tables import TABLES, Table

SCHEMAS = ("gold", "silver", "bronze", "ops")  # also the order in which a name without a schema is looked up
_READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)  # SHOW, DESCRIBE and WITH parse as SELECT


@dataclass(frozen=True)
class QueryResult:
    """A result that is ready for JSON: decimals are strings that keep all places, times ISO 8601 in UTC."""

    columns: list[str]
    rows: list[dict[str, Any]]


def run_query(settings: Settings, statement: str) -> QueryResult:
    """Run one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN statement.

    Raises InvalidInput for anything else and for what DuckDB refuses, Unavailable when the warehouse can't be read.
    """
    streams = [_TableStream(settings, table) for table in TABLES]
    with duckdb.connect(config={"python_enable_replacements": "false"}) as connection:
        _check_reads_only(connection, statement)
        _register(connection, streams)
        try:
            relation = connection.sql(statement)
            found = relation.to_arrow_table() if relation is not None else pa.table({})
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

    def __init__(self, settings: Settings, table: Table) -> None:
        self.table = table
        self.failure: Exception | None = None
        self._settings = settings

    def __arrow_c_schema__(self) -> object:
        return arrow_schema(self.table).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        schema = arrow_schema(self.table)
        try:
            delta_table = existing_table(self._settings, self.table)
            if delta_table is None:
                return schema.empty_table().__arrow_c_stream__()
            rows = pa.RecordBatchReader.from_stream(delta_table.scan(columns=list(self.table.column_names)))
        except Exception as error:
            self.failure = error
            raise
        return rows.cast(schema).__arrow_c_stream__()  # deltalake reads strings as string_view


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


def _register(connection: duckdb.DuckDBPyConnection, streams: list[_TableStream]) -> None:
    """Name all tables and views, then shut DuckDB in: no file, no extension, and no setting that could undo it."""
    connection.execute("SET TimeZone = 'UTC'")
    for schema in SCHEMAS:
        connection.execute(f"CREATE SCHEMA {schema}")
    for stream in streams:
        source = "_" + stream.table.name.replace(".", "_")
        connection.register(source, stream)
        connection.execute(f"CREATE VIEW {stream.table.name} AS FROM {source}")
    for view in VIEWS:
        connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")
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
