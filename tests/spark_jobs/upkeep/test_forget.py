"""What is forgotten is in no index, no table and no file; what is not, goes on as if nothing had happened."""

from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import LakehopError
from lakehouse.settings import Settings
from lakehouse.storage.delta import append, read_rows
from lakehouse.tables import (
    ACL_KEYS,
    CHUNKS,
    DOCUMENTS,
    EMBEDDINGS,
    EVAL_RESULTS,
    EVAL_RUNS,
    FORGET_RUNS,
    FREQUENCIES,
    INDEX_VERSIONS,
    INGEST_RUNS,
    LLM_CALLS,
    LLM_CALLS_RAW,
    MEMORIES,
    QUARANTINE,
    RECONCILE_RUNS,
)
from spark_jobs.upkeep import forget as forget_documents
from spark_jobs.upkeep.purge import rows_on_disk
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.usefixtures("milvus")]

PLAN = {"id": "plan", "title": "Plan", "text": "The launch of Vega is in May.", "groups": ["staff"]}
TEAM = {"id": "team", "title": "Team", "text": "Mia leads the launch of Vega.", "groups": ["hr"]}
CUT = ("parse_documents", "chunk_documents")
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def other(spark: SparkSession, settings: Settings, tmp_path: Path) -> Lake:
    """A second tenant in the same tables."""
    folder = tmp_path / "other"
    folder.mkdir()
    return Lake(spark, settings, folder)


def forget(lake: Lake, *documents: str, source: str | None = None, run_id: str = "forget") -> dict[str, int]:
    run_id = f"{lake.tenant}-{run_id}"
    args = Namespace(run_id=run_id, tenant=lake.tenant, source=source, document=list(documents))
    return forget_documents.run(lake.spark, lake.settings, args)


def written_about(settings: Settings, word: str) -> Iterator[str]:
    """Files below the warehouse that hold a word: Parquet values, and logs and checkpoints as they are."""
    for path in sorted(Path(settings.warehouse_root).rglob("*")):
        if path.suffix == ".parquet" and "_delta_log" not in path.parts:
            if word in str(pq.ParquetFile(path).read().to_pylist()):
                yield str(path)
        elif path.is_file() and word.encode() in path.read_bytes():
            yield str(path)


def remember(lake: Lake, name: str, text: str, *doc_ids: str) -> None:
    """An answer that rests on documents, or a note."""
    about = {"chunk_ids": list(doc_ids), "sources": ["wiki"] * len(doc_ids), "doc_ids": list(doc_ids)}
    who = {"tenant_id": lake.tenant, "memory_id": name, "app": "wiki", "user_id": "ann", "kind": "answer", "version": 1}
    append(lake.settings, MEMORIES, [
        who | about | {"text": text, "created_at": NOW, "written_at": NOW, "expires_at": NOW + timedelta(days=9_000)}
    ])  # fmt: skip


def test_a_forgotten_document_is_nowhere_and_everybody_elses_jobs_go_on(lake: Lake, other: Lake) -> None:
    other.ingest(other.write(PLAN, TEAM))
    secret = {"id": "jane-doe", "title": "Zyx file", "text": "A zyx draft.", "groups": ["hr"]}
    lake.ingest(lake.write(PLAN, secret))
    assert lake.found("zyx", "hr") == {"jane-doe"}
    # the other tenant's checkpoints lie before all of this, and the tenant's own before an edit that waits
    edited = secret | {"text": "Jane is called zyx. " * 60}
    copy = edited | {"id": "a-copy"}  # refused with a reason that names the other
    rows = lake.write(PLAN, edited, TEAM, b'{"id": "jane-doe", "x": "\xff"}', copy)
    strict = lake.settings.model_copy(update={"near_duplicate_similarity": 0.9})
    lake.run("parse_documents", "chunk_documents", path=rows, settings=strict)
    remember(lake, "both", "May, zyx.", "plan", "jane-doe")
    remember(lake, "other", "In May.", "plan")
    assert list(written_about(lake.settings, "zyx"))
    old = lake.version(DOCUMENTS)

    counts = forget(lake, "jane-doe")

    places = {row["place"]: row for row in lake.rows(FORGET_RUNS)}
    removed = {place: row["rows_removed"] for place, row in places.items() if row["rows_removed"]}
    assert removed.pop(EMBEDDINGS.name) >= 1
    assert removed.pop(CHUNKS.name) > 1
    assert removed == {"milvus": 1, DOCUMENTS.name: 1, QUARANTINE.name: 2, MEMORIES.name: 1}
    assert [row["memory_id"] for row in lake.rows(MEMORIES)] == ["other"]
    assert counts["rows_removed"] == sum(row["rows_removed"] for row in places.values())
    assert places[DOCUMENTS.name]["files_purged"] >= 2
    assert {row["rows_left"] for row in places.values()} == {0}
    assert all(row["proven_at"] for row in places.values())
    assert "jane-doe" not in str(places)

    assert list(written_about(lake.settings, "zyx")) == []
    assert list(written_about(lake.settings, "jane-doe")) == []
    with pytest.raises(Exception, match=r"FILE_NOT_EXIST|does not exist"):
        lake.spark.read.format("delta").option("versionAsOf", old).load(
            DOCUMENTS.path(lake.settings.warehouse_root)
        ).filter(f"tenant_id = '{lake.tenant}'").collect()
    assert lake.found("launch of Vega", "staff", "hr") == {"plan", "team"}

    assert lake.ingest(lake.write(PLAN, TEAM | {"text": "Ola leads the launch of Vega."}))["chunks_written"] == 1
    assert {passage.text for passage in lake.search("Who leads?", "hr")} == {"Ola leads the launch of Vega."}
    counts = other.ingest(other.write(PLAN | {"text": "The launch of Vega is in June."}), snapshot=True)
    assert (counts["changed"], counts["deleted"], counts["chunks_deleted"]) == (1, 1, 2)
    assert [passage.text for passage in other.search("launch", "staff", "hr")] == ["The launch of Vega is in June."]


def test_a_source_is_forgotten_and_the_same_ids_of_another_stay(lake: Lake) -> None:
    lake.parse(lake.write(PLAN, b"{bad"))
    rows = lake.rows(DOCUMENTS)
    append(lake.settings, DOCUMENTS, [row | {"source": "mail"} for row in rows])

    forget(lake, source="wiki")

    assert [(row["source"], row["doc_id"]) for row in lake.rows(DOCUMENTS)] == [("mail", "plan")]
    assert lake.rows(QUARANTINE) == []
    assert [row["source"] for row in lake.rows(CHUNKS)] == ["mail"]


def call(lake: Lake, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "call_id": f"{lake.tenant}-{name}", "task_id": f"{lake.tenant}-task", "operation": "execute_tool",
        "started_at": NOW, "latency_ms": 1.0, "tenant_id": lake.tenant, "app": "wiki", "key_id": "k",
        "program": "multihop", "program_version": "v", "agent": "calculate", "hop": 1, "input_tokens": 1,
        "cached_tokens": 0, "output_tokens": 1, "usd": Decimal("0.5"), "saved_usd": Decimal(0), "attempt": 1,
        "cache_hit": False, "outcome": "error", "loaded_at": NOW,
    } | changes  # fmt: skip


def add_calls_and_evaluation(lake: Lake) -> None:
    failed = call(lake, "failed", error=f"ToolFailed: {lake.tenant}zyx")
    planned = call(lake, "planned", outcome="ok", sub_task=f"{lake.tenant}zyx")
    append(lake.settings, LLM_CALLS, [failed, planned, call(lake, "done", outcome="ok")])
    record = f'{{"tenant_id":"{lake.tenant}","error":"{lake.tenant}zyx"}}'
    raw = {"call_id": failed["call_id"], "record": record, "spool_file": "s", "loaded_at": NOW}
    append(lake.settings, LLM_CALLS_RAW, [raw])
    run = {"run_id": f"{lake.tenant}-eval", "tenant_id": lake.tenant, "program": "multihop", "questions": "q", "n": 1}
    append(lake.settings, EVAL_RUNS, [run | {"usd_total": Decimal(0), "p50_s": 1.0, "p95_s": 1.0, "started_at": NOW}])
    answer = {"question_id": "q", "answer": f"{lake.tenant}zyx", "status": "ok", "usd": Decimal(0), "seconds": 1.0}
    cut_off = {"run_id": f"{lake.tenant}-cut-off", "task_id": f"{lake.tenant}-task"}
    append(lake.settings, EVAL_RESULTS, [answer | {"run_id": run["run_id"]}, answer | cut_off])


def test_a_tenant_is_removed_though_the_first_try_is_killed_and_its_bill_stays(
    lake: Lake, other: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.ingest(lake.write(PLAN, TEAM | {"text": f"Mia, {lake.tenant}zyx, leads."}))
    other.run(*CUT, path=other.write(PLAN, TEAM | {"text": f"Mia, {other.tenant}zyx, leads."}))
    remember(lake, "note", f"{lake.tenant}zyx")
    for tenant in (lake, other):
        add_calls_and_evaluation(tenant)
    assert len(list(written_about(lake.settings, f"{lake.tenant}zyx"))) >= 5

    with monkeypatch.context() as patch:
        patch.setattr(forget_documents, "purge", _killed)
        with pytest.raises(KeyboardInterrupt):
            forget(lake)
    assert {row["proven_at"] for row in lake.rows(FORGET_RUNS)} == {None}
    forget(lake)

    removed = {row["place"]: row["rows_removed"] for row in lake.rows(FORGET_RUNS)}
    assert removed.pop(INGEST_RUNS.name) == 4
    assert removed.pop(EMBEDDINGS.name) >= 1  # those that other tests left unused go as well
    assert removed.pop(FREQUENCIES.name) >= 1
    assert {place for place, rows in removed.items() if not rows} == {
        QUARANTINE.name, RECONCILE_RUNS.name,
    }  # fmt: skip
    assert {place: rows for place, rows in removed.items() if rows} == {
        "milvus": 2, DOCUMENTS.name: 2, CHUNKS.name: 2, ACL_KEYS.name: 2, INDEX_VERSIONS.name: 1,
        LLM_CALLS.name: 2, LLM_CALLS_RAW.name: 1, MEMORIES.name: 1, EVAL_RUNS.name: 1, EVAL_RESULTS.name: 2,
    }  # fmt: skip
    assert list(written_about(lake.settings, f"{lake.tenant}zyx")) == []
    bill = [(row["usd"], row["error"], row["sub_task"]) for row in lake.rows(LLM_CALLS)]
    assert bill == [(Decimal("0.5"), None, None)] * 3
    assert not list(Path(lake.settings.warehouse_root, "_checkpoints").glob(f"*/{lake.tenant}"))

    assert len(list(written_about(other.settings, f"{other.tenant}zyx"))) >= 5
    other.run(*CUT, path=other.write(PLAN), snapshot=True)
    assert [row["doc_id"] for row in other.rows(CHUNKS)] == ["plan"]
    lake.run(*CUT, path=lake.write(PLAN))  # and may come back
    assert [row["doc_id"] for row in lake.rows(CHUNKS)] == ["plan"]


def _killed(*_: object) -> int:
    raise KeyboardInterrupt


def test_a_file_that_still_holds_a_forgotten_row_fails_the_proof(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.parse(lake.write(PLAN, TEAM))
    monkeypatch.setattr(forget_documents, "purge", lambda *_: 0)

    with pytest.raises(LakehopError, match=r"2 in bronze\.documents|1 in bronze\.documents"):
        forget(lake, "plan")

    assert {row["proven_at"] for row in lake.rows(FORGET_RUNS)} == {None}
    assert read_rows(lake.settings, DOCUMENTS, [("tenant_id", "=", lake.tenant), ("doc_id", "=", "plan")]) == []
    monkeypatch.undo()
    forget(lake, "plan", run_id="again")
    on_disk = rows_on_disk(lake.spark, lake.settings, DOCUMENTS, lake.tenant)
    assert {row["doc_id"] for row in on_disk.collect()} == {"team"}
