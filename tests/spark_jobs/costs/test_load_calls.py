"""Call records reach the lakehouse exactly once, to the last digit, and what is no record is kept aside."""

from argparse import Namespace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.costs.call_records import CallRecord, Spool
from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables, read_rows
from lakehouse.tables import LLM_CALLS, LLM_CALLS_RAW, QUARANTINE
from spark_jobs.costs import load_calls as load_llm_calls

pytestmark = pytest.mark.integration


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Settings:
    """A lakehouse and a spool of the test's own."""
    own = settings.model_copy(update={"home": tmp_path})
    ensure_tables(own)
    return own


def record(call_id: str, usd: str = "0.0000123401") -> CallRecord:
    return CallRecord(
        call_id=call_id,
        task_id="task",
        operation="chat",
        started_at=datetime(2026, 11, 21, 3, 4, 5, 678901, tzinfo=UTC),
        latency_ms=12.5,
        tenant_id="acme",
        app="wiki",
        key_id="key",
        program="multihop",
        program_version="uncompiled",
        agent="read",
        model="m",
        input_tokens=40,
        usd=Decimal(usd),
        outcome="ok",
    )


def load(spark: SparkSession, settings: Settings) -> dict[str, Decimal]:
    """Run the job; the money of each call that silver then holds."""
    load_llm_calls.run(spark, settings, Namespace())
    rows = read_rows(settings, LLM_CALLS)
    assert len(rows) == len({row["call_id"] for row in rows})
    return {row["call_id"]: row["usd"] for row in rows}


def test_a_record_arrives_once_however_often_it_was_spooled(spark: SparkSession, home: Settings) -> None:
    Spool(home.spool_dir).append(record("a"), record("b", "0.5"), record("b", "0.5"))
    assert load(spark, home) == {"a": Decimal("0.0000123401"), "b": Decimal("0.5")}

    Spool(home.spool_dir).append(record("a"), record("c", "12345678.0000000001"))
    assert load(spark, home) == {
        "a": Decimal("0.0000123401"),
        "b": Decimal("0.5"),
        "c": Decimal("12345678.0000000001"),
    }
    assert read_rows(home, LLM_CALLS)[0]["started_at"] == datetime(2026, 11, 21, 3, 4, 5, 678901, tzinfo=UTC)
    assert list(home.spool_dir.rglob("*.jsonl")) == []
    assert load_llm_calls.run(spark, home, Namespace()) == {"segments": 0}


def test_a_line_that_is_no_record_is_quarantined_and_its_neighbours_are_loaded(
    spark: SparkSession, home: Settings
) -> None:
    Spool(home.spool_dir).append(record("a"))
    segment = next((home.spool_dir / "open").iterdir())
    missing = record("no-app").to_json().replace('"app":"wiki"', '"app":null')
    bad_money = record("bad-money").to_json().replace("0.0000123401", "a lot")
    with segment.open("a") as lines:
        lines.write(f'{missing}\n{bad_money}\n{{"call_id":"torn","ta')

    assert load(spark, home) == {"a": Decimal("0.0000123401")}
    assert [row["call_id"] for row in read_rows(home, LLM_CALLS_RAW)] == ["a"]
    refused = read_rows(home, QUARANTINE, [("source", "=", "spool")])
    assert sorted(row["excerpt"][:20] for row in refused) == sorted(
        [missing[:20], bad_money[:20], '{"call_id":"torn","ta'[:20]]
    )
