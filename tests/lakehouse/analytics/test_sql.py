"""`lakehop sql`: every table and view by name, exact money, and no way to a file or a write."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse.analytics.gold import VIEWS
from lakehouse.analytics.sql import run_query
from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS, DOCUMENTS, EVAL_RUNS, TABLES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path)
    row = {
        "tenant_id": "acme",
        "program": "multihop",
        "questions": "q.jsonl",
        "n": 2,
        "p50_s": 1.5,
        "p95_s": 2.5,
        "started_at": datetime(2026, 11, 3, 23, 30, tzinfo=UTC),
    }
    delta.upsert(settings, EVAL_RUNS, [row | {"run_id": "a", "usd_total": Decimal("0.1")}])
    delta.upsert(settings, EVAL_RUNS, [row | {"run_id": "b", "usd_total": Decimal("0.0000000002")}])
    delta.upsert(settings, EVAL_RUNS, [row | {"run_id": "b", "usd_total": Decimal("0.2")}])
    delta.append(settings, ACL_KEYS, [{"tenant_id": "acme", "acl_key": "k", "acl_groups": ["eng", "hr"]}])
    return settings


def rows(settings: Settings, statement: str) -> list[dict[str, Any]]:
    return run_query(settings, statement).rows


def test_every_table_and_view_can_be_read_before_anything_was_written(tmp_path: Path) -> None:
    empty = Settings(home=tmp_path / "new")
    for one in (*TABLES, *VIEWS):
        result = run_query(empty, f"SELECT * FROM {one.name}")
        assert (result.columns, result.rows) == (list(one.column_names), [])
    assert not empty.home.exists()


def test_values_come_out_ready_for_json_and_exact(settings: Settings) -> None:
    result = run_query(
        settings, "SELECT run_id, n, em, usd_total, p50_s, started_at FROM gold.eval_runs ORDER BY run_id"
    )

    assert result.columns == ["run_id", "n", "em", "usd_total", "p50_s", "started_at"]
    assert result.rows[0] == {
        "run_id": "a",
        "n": 2,
        "em": None,
        "usd_total": "0.1000000000",
        "p50_s": 1.5,
        "started_at": "2026-11-03T23:30:00+00:00",
    }
    assert json.loads(json.dumps(result.rows, allow_nan=False)) == result.rows


def test_sums_of_money_are_decimals_and_sums_of_counts_are_whole_numbers(settings: Settings) -> None:
    assert rows(settings, "SELECT sum(usd_total) AS usd, sum(n) AS n, count(*) AS runs FROM gold.eval_runs") == [
        {"usd": "0.3000000000", "n": 4, "runs": 2}
    ]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("DATE '2026-11-03'", "2026-11-03"),
        ("TIME '10:00:00'", "10:00:00"),
        ("['a', NULL]", ["a", None]),
        (
            "{'usd': 0.10, 'at': TIMESTAMPTZ '2026-11-03 12:00:00+02'}",
            {"usd": "0.10", "at": "2026-11-03T10:00:00+00:00"},
        ),
        ("'nan'::DOUBLE", "nan"),
        ("99999999999999999999999999999999999999::HUGEINT", 99999999999999999999999999999999999999),
        ("sum(9223372036854775807)", 9223372036854775807),
        ("NULL", None),
        ("true", True),
    ],
)
def test_every_type_has_a_form_in_json(settings: Settings, expression: str, value: Any) -> None:
    assert rows(settings, f"SELECT {expression} AS v") == [{"v": value}]


def test_filters_joins_and_lists_work_on_merged_files(settings: Settings) -> None:
    assert rows(settings, "SELECT usd_total FROM gold.eval_runs WHERE run_id = 'b'") == [{"usd_total": "0.2000000000"}]
    join = "SELECT a.run_id FROM gold.eval_runs a JOIN gold.eval_runs b USING (n) WHERE b.run_id = 'a' ORDER BY 1"
    assert rows(settings, join) == [{"run_id": "a"}, {"run_id": "b"}]
    assert rows(settings, "SELECT acl_key FROM silver.acl_keys WHERE list_contains(acl_groups, 'hr')") == [
        {"acl_key": "k"}
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "WITH r AS (SELECT * FROM gold.eval_runs) SELECT count(*) AS n FROM r",
        "SELECT count(*) AS n FROM eval_runs;",
        "FROM gold.eval_runs SELECT count(*) AS n",
        "-- how many\nSELECT count(*) AS n FROM gold.eval_runs",
    ],
)
def test_reading_statements_are_allowed(settings: Settings, statement: str) -> None:
    assert rows(settings, statement) == [{"n": 2}]


def test_describe_show_and_explain_are_allowed(settings: Settings) -> None:
    described = rows(settings, "DESCRIBE gold.cost_daily")
    assert [row["column_name"] for row in described][:3] == ["day", "tenant_id", "app"]
    shown = {f"{row['schema']}.{row['name']}" for row in rows(settings, "SHOW ALL TABLES")}
    assert {one.name for one in (*TABLES, *VIEWS)} <= shown
    assert [row["explain_key"] for row in rows(settings, "EXPLAIN SELECT 1")] == ["physical_plan"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM silver.llm_calls",
        "DROP VIEW gold.tasks",
        "CREATE TABLE t (x INT)",
        "UPDATE gold.eval_runs SET n = 0",
        "INSERT INTO gold.eval_runs VALUES (1)",
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPORT DATABASE '{file}'",
        "SELECT 1; DELETE FROM silver.llm_calls",
        "SELECT 1; SELECT 2",
        "",
        "  -- nothing",
    ],
)
def test_anything_but_one_reading_statement_is_refused(settings: Settings, tmp_path: Path, statement: str) -> None:
    file = tmp_path / "out"
    with pytest.raises(InvalidInput, match="must be one SELECT, WITH, SHOW, DESCRIBE or EXPLAIN"):
        run_query(settings, statement.format(file=file))
    assert not file.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_blob('file:///etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('{warehouse}/gold/eval_runs/*.parquet')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{file}''')",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "WITH c AS (COPY (SELECT 1) TO '{file}') SELECT 1",
        "WITH d AS (DELETE FROM gold.eval_runs RETURNING *) SELECT * FROM d",
        "SELECT * FROM sqlite_scan('{file}', 't')",
        "SELECT * FROM enable_logging(storage_path = '{file}')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM settings",  # a Python variable
    ],
)
def test_no_statement_reaches_a_file_or_a_variable_of_the_process(
    settings: Settings, tmp_path: Path, statement: str
) -> None:
    file = tmp_path / "out"
    with pytest.raises(InvalidInput):
        run_query(settings, statement.format(file=file, warehouse=settings.warehouse_root))
    assert not file.exists()
    assert rows(settings, "SELECT count(*) AS n FROM gold.eval_runs") == [{"n": 2}]


def test_a_pivot_without_in_is_told_how_to_be_written(settings: Settings) -> None:
    pivot = "PIVOT gold.ingest_runs ON tenant_id{} USING sum(documents_seen) GROUP BY source"

    with pytest.raises(InvalidInput, match=r"PIVOT without IN is not read.*PIVOT table ON column IN \('a', 'b'\)"):
        run_query(settings, pivot.format(""))

    assert run_query(settings, f"SELECT * FROM ({pivot.format(" IN ('acme')")})").rows == []


def test_an_unknown_column_and_a_syntax_error_are_duckdbs_own_words(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match='Referenced column "usdd" not found'):
        run_query(settings, "SELECT usdd FROM gold.eval_runs")
    with pytest.raises(InvalidInput, match='syntax error at or near "SELEC"'):
        run_query(settings, "SELEC 1")


def test_two_columns_of_one_name_are_refused_because_a_row_could_hold_one(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match=r"column 'run_id' occurs twice in the result. Name one of them with AS"):
        run_query(settings, "SELECT a.run_id, b.run_id FROM gold.eval_runs a, gold.eval_runs b")


def test_a_table_that_cannot_be_read_is_the_warehouses_failure_not_the_callers(settings: Settings) -> None:
    log = Path(DOCUMENTS.path(settings.warehouse_root)) / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("broken")
    with pytest.raises(Unavailable, match=r"bronze\.documents: ") as caught:
        run_query(settings, "SELECT count(*) FROM bronze.documents")
    assert caught.value.part == "warehouse"
    assert rows(settings, "SELECT count(*) AS n FROM gold.eval_runs") == [{"n": 2}]  # nobody opened the broken one
