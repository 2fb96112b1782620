"""`lakehop ingest` shows how far each step is, from the rows that the job writes."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.cli.terminal import show_progress
from infra.dag_runs import progress
from lakehouse.settings import Settings
from lakehouse.storage.delta import upsert
from lakehouse.tables import INGEST_RUNS

ROW = {
    "run_id": "r1",
    "tenant_id": "acme",
    "source": "s",
    "started_at": datetime(2026, 12, 1, tzinfo=UTC),
    "seconds": 9.0,
}


def test_each_change_of_a_running_step_is_shown_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    shown: list[tuple[str, float | None]] = []
    monkeypatch.setattr(progress, "PERIOD_S", 0.05)
    running = ROW | {"step": "embed_chunks", "items_done": 250, "items_left": 750, "seconds_left": 30.0}
    upsert(settings, INGEST_RUNS, [running, ROW | {"step": "chunk_documents"}])

    with progress.followed(settings, "r1", lambda line, share: shown.append((line, share))):
        deadline = time.monotonic() + 20
        while not shown:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)

    assert shown == [("embed_chunks: 250 of 1,000 embeddings, 750 left, about 30 s", 0.25)]


@pytest.mark.parametrize(
    ("is_terminal", "printed"), [(False, "half\n"), (True, "\r\x1b[K[████████████░░░░░░░░░░░░] half")]
)
def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines(
    is_terminal: bool, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda stream, color: False)

    show_progress("half", 0.5)

    assert capsys.readouterr().err == printed
