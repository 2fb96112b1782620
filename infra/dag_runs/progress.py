"""The progress of a run's steps, read from `ops.ingest_runs` while Airflow runs it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lakehouse.errors import LakehopError
from lakehouse.settings import Settings
from lakehouse.tables import INGEST_RUNS
from lakehouse.tables.runs import progress_line

PERIOD_S = 2.0
Show = Callable[[str, float | None], None]
"""Called with a line, e.g. `embed_chunks: 640 of 1,000 embeddings, 360 left`, and the share done, 0 to 1."""


@contextmanager
def followed(settings: Settings, run_id: str, show: Show) -> Iterator[None]:
    """Show each change of the run's progress until the block ends."""
    ended = threading.Event()

    def follow() -> None:
        shown: dict[str, Any] = {}
        while not ended.wait(PERIOD_S):
            for row in _running_steps(settings, run_id):
                if shown.get(row["step"]) != row:
                    shown[row["step"]] = row
                    progress = (row["items_done"], row["items_left"], row["seconds_left"])
                    show(progress_line(row["step"], *progress), _share(row))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def _running_steps(settings: Settings, run_id: str) -> list[dict[str, Any]]:
    from lakehouse.storage.delta import read_rows

    try:
        rows = read_rows(settings, INGEST_RUNS, [("run_id", "=", run_id)])
    except LakehopError:  # the run itself will say what is wrong with the storage
        return []
    return [row for row in rows if row["items_done"] is not None]


def _share(row: dict[str, Any]) -> float | None:
    left = row["items_left"]
    return None if left is None else row["items_done"] / max(1, row["items_done"] + left)
