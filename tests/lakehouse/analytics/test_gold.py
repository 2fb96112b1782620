"""The gold views: small call records in, whole rows out, and the same rows from Spark as from DuckDB."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse.analytics.gold import VIEWS
from lakehouse.analytics.sql import run_query
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.storage import delta
from lakehouse.tables import EVAL_RESULTS, EVAL_RUNS, INGEST_RUNS, LLM_CALLS, QUARANTINE

LATE = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
NEXT_DAY = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)


def call(call_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "call_id": call_id,
        "task_id": "t1",
        "operation": "chat",
        "started_at": LATE,
        "latency_ms": 100.0,
        "tenant_id": "acme",
        "app": "wiki",
        "key_id": "k1",
        "program": "multihop",
        "program_version": "v1",
        "agent": "read",
        "hop": 1,
        "model": "m",
        "input_tokens": 100,
        "cached_tokens": 40,
        "output_tokens": 10,
        "usd": Decimal("0.0000000001"),
        "saved_usd": Decimal("0.0000000003"),
        "price_from": "2026-01-01",
        "attempt": 1,
        "cache_hit": False,
        "outcome": "ok",
        "loaded_at": NEXT_DAY,
    } | changes


def free(call_id: str, operation: str, **changes: Any) -> dict[str, Any]:
    """A record with no model and no price."""
    unpriced = {"model": None, "price_from": None, "usd": Decimal(0), "saved_usd": Decimal(0)}
    no_tokens = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0}
    return call(call_id, operation=operation, **unpriced, **no_tokens) | changes


CALLS = [
    free("s1", "retrieval"),
    call("c1"),
    free("s2", "retrieval", hop=2),
    call("c2", hop=2, started_at=NEXT_DAY, usd=Decimal("0.3"), outcome="error", error="timeout"),
    free("end", "invoke_agent", hop=0, latency_ms=2500.0, outcome="answered", user_id="ann"),
    call("c3", task_id="t2", app="bot", key_id="k2", started_at=NEXT_DAY),  # its task has not ended
    free("x1", "retrieval", task_id="t3", tenant_id="other", program="search", program_version="uncompiled"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("gold"))
    delta.append(settings, LLM_CALLS, CALLS)
    run = {"tenant_id": "acme", "questions": "q.jsonl", "n": 3, "usd_total": Decimal(1), "p50_s": 1.0, "p95_s": 2.0}
    runs = [("judged", "multihop"), ("none-right", "multihop"), ("recall-only", "search")]
    delta.append(settings, EVAL_RUNS, [run | {"run_id": r, "program": p, "started_at": LATE} for r, p in runs])
    result = {"status": "answered", "usd": Decimal("0.1"), "seconds": 1.0, "question_id": "q1"}
    results = [
        {"run_id": "judged", "task_id": "t1", "success": True},
        {"run_id": "judged", "question_id": "q2", "success": False, "status": "failed", "usd": Decimal(0)},
        {"run_id": "judged", "question_id": "q3", "success": True, "usd": Decimal("0.3")},
        {"run_id": "judged", "question_id": "q4", "success": True, "usd": Decimal("0.6")},
        {"run_id": "judged", "question_id": "no gold answer", "usd": Decimal(5)},
        {"run_id": "none-right", "success": False},
        {"run_id": "recall-only", "recall_at_2": 1.0, "usd": Decimal(0)},
    ]
    delta.append(settings, EVAL_RESULTS, [result | one for one in results])
    step = {"run_id": "r1", "tenant_id": "acme", "source": "s", "seconds": 1.5}
    steps = [
        {"step": "parse_documents", "documents_seen": 3, "documents_added": 2, "started_at": LATE},
        {"step": "chunk_documents", "chunks_written": 7, "chunks_deleted": 0, "started_at": NEXT_DAY},
    ]
    delta.append(settings, INGEST_RUNS, [step | one for one in steps])
    refused = {"ingest_run_id": "r1", "tenant_id": "acme", "source": "s", "uri": "u"}
    open_and_settled = [
        {"reason": "line 12: invalid UTF-8: at byte 3. Save it as UTF-8.", "quarantined_at": NEXT_DAY},
        {"reason": "invalid UTF-8: at byte 0. Save it as UTF-8.", "quarantined_at": LATE},
        {"reason": "empty text", "quarantined_at": LATE},
        {"reason": "empty text", "quarantined_at": LATE, "resolved_by": "r2"},
    ]
    numbered = [refused | one | {"quarantine_id": str(n)} for n, one in enumerate(open_and_settled)]
    delta.append(settings, QUARANTINE, numbered)
    return settings


def rows(settings: Settings, view: str) -> list[dict[str, Any]]:
    return sorted(run_query(settings, f"SELECT * FROM {view}").rows, key=json.dumps)


def test_a_task_is_one_row_with_its_end_its_calls_and_its_money(settings: Settings) -> None:
    first, unended, search = sorted(rows(settings, "gold.tasks"), key=lambda row: row["task_id"])

    assert first == {
        "task_id": "t1",
        "tenant_id": "acme",
        "user_id": "ann",
        "app": "wiki",
        "key_id": "k1",
        "program": "multihop",
        "program_version": "v1",
        "status": "answered",
        "started_at": "2026-11-30T23:59:59+00:00",
        "latency_s": 2.5,
        "hops": 2,
        "calls": 2,
        "searches": 2,
        "input_tokens": 200,
        "cached_tokens": 80,
        "output_tokens": 20,
        "usd": "0.3000000001",
        "saved_usd": "0.0000000006",
    }
    assert (unended["status"], unended["latency_s"], unended["calls"]) == (None, None, 1)
    assert (search["calls"], search["searches"], search["usd"]) == (0, 1, "0.0000000000")


def test_costs_are_split_at_utc_midnight_and_searches_stand_apart(settings: Settings) -> None:
    of_acme = {"tenant_id": "acme", "program": "multihop"}
    one_call = {"calls": 1, "input_tokens": 100, "cached_tokens": 40, "output_tokens": 10, "saved_usd": "0.0000000003"}
    no_tokens = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0}
    no_money = {"usd": "0.0000000000", "saved_usd": "0.0000000000"}

    found = sorted(
        rows(settings, "gold.cost_daily"), key=lambda row: (row["day"], row["app"], row["usd"], row["calls"])
    )
    assert found == [
        {"day": "2026-11-30", "tenant_id": "other", "app": "wiki", "program": "search", "model": None, "calls": 1}
        | no_tokens
        | no_money,
        of_acme | {"day": "2026-11-30", "app": "wiki", "model": None, "calls": 2} | no_tokens | no_money,
        of_acme | {"day": "2026-11-30", "app": "wiki", "model": "m"} | one_call | {"usd": "0.0000000001"},
        of_acme | {"day": "2026-12-01", "app": "bot", "model": "m"} | one_call | {"usd": "0.0000000001"},
        of_acme | {"day": "2026-12-01", "app": "wiki", "model": "m"} | one_call | {"usd": "0.3000000000"},
    ]


def test_no_money_is_lost_between_the_calls_and_the_views(settings: Settings) -> None:
    (total,) = run_query(settings, "SELECT sum(usd) AS usd FROM silver.llm_calls").rows
    for view, column in (("gold.tasks", "usd"), ("gold.cost_daily", "usd"), ("gold.focus_costs", "BilledCost")):
        assert run_query(settings, f"SELECT sum({column}) AS usd FROM {view}").rows == [total]
    assert total == {"usd": "0.3000000002"}


def test_a_success_costs_what_all_judged_tasks_cost_failures_too(settings: Settings) -> None:
    judged, none_right = sorted(rows(settings, "gold.cost_per_success"), key=lambda row: row["run_id"])

    assert judged == {
        "run_id": "judged",
        "tenant_id": "acme",
        "program": "multihop",
        "program_version": "v1",
        "model": "m",
        "questions": "q.jsonl",
        "started_at": "2026-11-30T23:59:59+00:00",
        "tasks": 4,
        "successes": 3,
        "usd": "1.0000000000",
        "usd_per_success": "0.3333333333",
    }
    assert (none_right["tasks"], none_right["successes"], none_right["usd_per_success"]) == (1, 0, None)
    assert none_right["model"] is None  # its calls are not loaded


def test_focus_rows_carry_periods_money_and_tokens(settings: Settings) -> None:
    (row,) = run_query(settings, "SELECT * FROM gold.focus_costs WHERE x_App = 'wiki' AND BilledCost > 0.1").rows
    assert row == {
        "BillingAccountId": "lakehop",
        "SubAccountId": "acme",
        "BillingPeriodStart": "2026-12-01T00:00:00+00:00",
        "BillingPeriodEnd": "2027-01-01T00:00:00+00:00",
        "ChargePeriodStart": "2026-12-01T00:00:00+00:00",
        "ChargePeriodEnd": "2026-12-02T00:00:00+00:00",
        "BillingCurrency": "USD",
        "BilledCost": "0.3000000000",
        "EffectiveCost": "0.3000000000",
        "ContractedCost": "0.3000000000",
        "ListCost": "0.3000000003",
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargeDescription": "multihop calls m",
        "ServiceProviderName": "Lakehop",
        "ServiceName": "Model calls",
        "ServiceCategory": "AI and Machine Learning",
        "ResourceId": "m",
        "ResourceType": "Model",
        "SkuPriceId": "m@2026-01-01",
        "ConsumedQuantity": 110,
        "ConsumedUnit": "Tokens",
        "x_App": "wiki",
        "x_KeyId": "k1",
        "x_Program": "multihop",
        "x_Calls": 1,
        "x_InputTokens": 100,
        "x_CachedTokens": 40,
        "x_OutputTokens": 10,
    }


def test_an_ingest_run_is_one_row_and_a_step_that_has_not_run_leaves_null(settings: Settings) -> None:
    (row,) = rows(settings, "gold.ingest_runs")
    assert row == {
        "run_id": "r1",
        "tenant_id": "acme",
        "source": "s",
        "steps": 2,
        "documents_seen": 3,
        "documents_added": 2,
        "documents_changed": None,
        "documents_unchanged": None,
        "documents_deleted": None,
        "documents_quarantined": None,
        "documents_skipped": None,
        "chunks_written": 7,
        "chunks_deleted": 0,
        "embedded": None,
        "started_at": "2026-11-30T23:59:59+00:00",
        "seconds": 3.0,
    }


def test_what_is_still_refused_is_counted_by_the_kind_of_its_reason(settings: Settings) -> None:
    found = {row["reason"]: (row["things"], row["oldest_at"]) for row in rows(settings, "gold.quarantine_open")}
    assert found == {
        "invalid UTF-8": (2, "2026-11-30T23:59:59+00:00"),
        "empty text": (1, "2026-11-30T23:59:59+00:00"),
    }


def test_what_a_run_refused_is_counted_by_kind_of_reason(settings: Settings) -> None:
    found = {
        row["kind"]: (row["run_id"], row["documents"], row["still_open"])
        for row in rows(settings, "gold.ingest_refusals")
    }
    assert found == {"invalid UTF-8": ("r1", 2, 2), "empty text": ("r1", 2, 1)}


DUCKDB_NAMES = {"VARCHAR": "STRING", "INTEGER": "INT", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_has_the_columns_and_types_that_it_declares(settings: Settings, view: Any) -> None:
    described = [
        (row["column_name"], DUCKDB_NAMES.get(row["column_type"], row["column_type"]))
        for row in run_query(settings, f"DESCRIBE {view.name}").rows
    ]
    assert described == [(column.name, column.type.value) for column in view.columns]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_only_a_column_that_says_what_null_means_holds_null(settings: Settings, view: Any) -> None:
    never_null = [column.name for column in view.columns if not column.nullable]
    for row in rows(settings, view.name):
        assert [name for name in never_null if row[name] is None] == []
    assert [column.name for column in view.columns if column.nullable and "NULL" not in column.doc] == []


SPARK = """
import json, sys
from pathlib import Path
from lakehouse.analytics.gold import VIEWS
from lakehouse.settings import Settings
from lakehouse.storage.spark import spark_session
from spark_jobs.upkeep.thrift_server import register_tables
settings = Settings(home=Path(sys.argv[1]), spark_driver_memory="1g")
spark = spark_session(settings, "test-gold")
register_tables(spark, settings)
def plain(value):
    if value is None or isinstance(value, int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
views = {}
for view in VIEWS:
    frame = spark.table(view.name)
    rows = [{name: plain(value) for name, value in row.asDict().items()} for row in frame.collect()]
    views[view.name] = {"types": [[f.name, f.dataType.simpleString().upper()] for f in frame.schema], "rows": rows}
print(json.dumps(views))
spark.stop()
"""


@pytest.mark.integration
def test_spark_gives_the_same_types_and_rows(settings: Settings, tmp_path: Path) -> None:
    delta.ensure_tables(settings)
    done = subprocess.run(
        [sys.executable, "-c", SPARK, str(settings.home)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "TZ": "UTC"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    by_spark = json.loads(done.stdout.splitlines()[-1])

    for view in VIEWS:
        assert by_spark[view.name]["types"] == [[column.name, column.type.value] for column in view.columns]
        of_spark = [_comparable(row) for row in by_spark[view.name]["rows"]]
        of_duckdb = [_comparable(row) for row in rows(settings, view.name)]
        assert sorted(of_spark, key=json.dumps) == sorted(of_duckdb, key=json.dumps)


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Spark's Python times have no zone and a zero Decimal prints as 0E-10; the values are what is compared."""
    comparable = {}
    for name, value in row.items():
        if isinstance(value, str) and value[:1].isdigit() and ("." in value or "E-" in value):
            value = f"{Decimal(value):.10f}"
        comparable[name] = value.removesuffix("+00:00") if isinstance(value, str) else value
    return comparable
