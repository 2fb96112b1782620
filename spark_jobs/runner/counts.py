"""What each step of a run did, in `ops.ingest_runs`: `lakehop ingest` prints it, engineers look failed runs up."""

from argparse import Namespace
from datetime import UTC, datetime
from typing import Any

from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows, upsert
from lakehouse.tables import INGEST_RUNS

Counts = dict[str, int]
"""Columns of `ops.ingest_runs` that a step fills."""


def recorded(settings: Settings, args: Namespace, step: str) -> Counts:
    """The counts that an earlier attempt of this run recorded for the step; empty on the first."""
    rows = read_rows(settings, INGEST_RUNS, [("run_id", "=", args.run_id), ("step", "=", step)])
    names = [c.name for c in INGEST_RUNS.columns if c.name.startswith(("documents_", "chunks_", "links_", "embedded"))]
    return {name: row[name] for row in rows for name in names if row[name] is not None}


def record(settings: Settings, args: Namespace, step: str, counts: Counts, started_at: datetime) -> None:
    """Write the step's row, in place of an earlier attempt's."""
    row: dict[str, Any] = {
        "run_id": args.run_id,
        "step": step,
        "tenant_id": args.tenant,
        "source": args.source,
        "started_at": started_at,
        "seconds": (datetime.now(UTC) - started_at).total_seconds(),
    }
    upsert(settings, INGEST_RUNS, [row | counts])
