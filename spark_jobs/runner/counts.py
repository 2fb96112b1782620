"""Counts of each step of a run, in `ops.ingest_runs`: `lakehop ingest` prints them, engineers look up failed runs."""

from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows, update, upsert
from lakehouse.tables import INGEST_RUNS

Counts = dict[str, int]
"""Columns of `ops.ingest_runs` that a step fills, with their values."""


def recorded(settings: Settings, args: Namespace, step: str) -> Counts:
    """The counts that an earlier attempt of this run recorded for the step; empty on the first attempt."""
    rows = read_rows(settings, INGEST_RUNS, [("run_id", "=", args.run_id), ("step", "=", step)])
    names = [name for name in INGEST_RUNS.column_names if name.startswith(("documents_", "chunks_", "embedded"))]
    return {name: row[name] for row in rows for name in names if row[name] is not None}


def record(settings: Settings, args: Namespace, step: str, counts: Counts, started_at: datetime) -> None:
    """Write the row of the step; it replaces the row of an earlier attempt."""
    upsert(settings, INGEST_RUNS, [_row(args, step, started_at) | counts])


def record_progress(
    settings: Settings,
    args: Namespace,
    step: str,
    started_at: datetime,
    items_done: int,
    items_left: int | None,
    seconds_left: float | None,
) -> None:
    """Write how far the step is into its row, and leave the counts of an earlier attempt there."""
    progress = {"items_done": items_done, "items_left": items_left, "seconds_left": seconds_left}
    row = _row(args, step, started_at) | progress
    update(settings, INGEST_RUNS, [row], (*progress, "seconds"))


def _row(args: Namespace, step: str, started_at: datetime) -> dict[str, Any]:
    return {
        "run_id": args.run_id,
        "step": step,
        "tenant_id": args.tenant,
        "source": args.source,
        "started_at": started_at,
        "seconds": (datetime.now(UTC) - started_at).total_seconds(),
    }
