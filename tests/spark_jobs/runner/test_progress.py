"""The progress of a step reaches the log and its row, from the datagrams of its tasks."""

import logging
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import INGEST_RUNS
from lakehouse.tables.runs import progress_line
from spark_jobs.runner import progress
from spark_jobs.runner.counts import record, record_progress

ARGS = Namespace(run_id="r1", tenant="acme", source="wiki")
NOW = datetime(2026, 12, 1, tzinfo=UTC)


class FakeContext:
    """Of Spark, the local properties of a job and the task that sees them."""

    def __init__(self, partition: int) -> None:
        self.properties: dict[str, str] = {}
        self.partition = partition

    def setLocalProperty(self, name: str, value: str) -> None:  # noqa: N802  as Spark names it
        self.properties[name] = value

    def getLocalProperty(self, name: str) -> str | None:  # noqa: N802
        return self.properties.get(name)

    def stageId(self) -> int:  # noqa: N802
        return 1

    def partitionId(self) -> int:  # noqa: N802
        return self.partition

    def attemptNumber(self) -> int:  # noqa: N802
        return 0


def test_what_tasks_have_done_is_logged_and_in_the_row_of_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings, context = Settings(home=tmp_path), FakeContext(0)
    spark: Any = SimpleNamespace(sparkContext=context)
    monkeypatch.setattr(progress, "PERIOD_S", 0.3)
    monkeypatch.setattr(progress, "_SEND_S", 0)
    monkeypatch.setattr(progress.TaskContext, "get", lambda: context)
    with caplog.at_level(logging.INFO), progress.reported(spark, settings, ARGS, "embed_chunks", NOW):
        progress.expect(1000)
        progress.done(64)
        context.partition = 1
        progress.done(100)
        progress.done(36)
        deadline = time.monotonic() + 20
        while not (rows := read_rows(settings, INGEST_RUNS)):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert "embed_chunks: 200 of 1,000 embeddings, 800 left, about" in caplog.text
    assert [(row["step"], row["items_done"], row["items_left"]) for row in rows] == [("embed_chunks", 200, 800)]
    assert rows[0]["seconds_left"] > 0


def test_progress_leaves_the_counts_of_an_earlier_attempt_and_ends_with_the_step(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    record(settings, ARGS, "embed_chunks", {"embedded": 5}, NOW)

    record_progress(settings, ARGS, "embed_chunks", NOW, 10, 90, 4.5)

    (row,) = read_rows(settings, INGEST_RUNS)
    assert (row["embedded"], row["items_done"], row["items_left"], row["seconds_left"]) == (5, 10, 90, 4.5)
    record(settings, ARGS, "embed_chunks", {"embedded": 105}, NOW)
    (row,) = read_rows(settings, INGEST_RUNS)
    assert (row["embedded"], row["items_done"], row["items_left"]) == (105, None, None)


def test_lines_of_a_file_are_counted_without_a_rest() -> None:
    assert progress_line("parse_documents", 1200, None, None) == "parse_documents: 1,200 documents"
