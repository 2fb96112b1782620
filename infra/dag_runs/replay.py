"""`lakehop replay`: run the ingest DAG again for open items of the quarantine, and report the outcome.

Items with the same paths, groups and source are replayed in one run, as they were ingested. So a document gets the
groups of its first ingest, and if two files claim one id, the same file wins.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from infra.clients.airflow import Progress
from infra.dag_runs.ingest import document_address, new_run_id, run_counts, run_dag
from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import Filter, ensure_tables, read_rows
from lakehouse.tables import INGEST_RUNS, QUARANTINE

Row = dict[str, Any]


def replay(
    settings: Settings, run_id: str | None, tenant: str | None, source: str | None, progress: Progress
) -> dict[str, Any]:
    """Replay the open items of a run, or of a tenant (and source); return ingest counts and the number still open.

    Raises InvalidInput before anything runs for an unknown run or tenant and for missing paths, LakehopError when a run
    fails.
    """
    ensure_tables(settings)  # an older quarantine lacks the columns with paths and groups
    began = time.monotonic()
    rows = _open_rows(settings, run_id, tenant, source)
    inputs = _by_input(rows)
    if without_paths := len(rows) - sum(len(refused) for refused in inputs.values()):
        progress(f"{without_paths} items have no stored paths (an old version refused them): ingest them again.")
    new_runs = [_replay_input(settings, ingest_input, refused, progress) for ingest_input, refused in inputs.items()]
    after = [_resolved_rows(settings, refused, run) for refused, run in zip(inputs.values(), new_runs, strict=True)]
    resolved = sum(row["resolved_by"] == run for rows, run in zip(after, new_runs, strict=True) for row in rows)
    return _total([run_counts(settings, run) for run in new_runs]) | {
        "replayed": len(rows),
        "resolved": resolved,
        "still_open": len(rows) - resolved,
        "seconds": round(time.monotonic() - began, 1),
    }


def _open_rows(settings: Settings, run_id: str | None, tenant: str | None, source: str | None) -> list[Row]:
    if (run_id is None) == (tenant is None) or (run_id is not None and source is not None):
        raise InvalidInput(
            "replay needs either --run RUN_ID, or --tenant T and perhaps --source S. Use one of these forms."
        )
    where: list[Filter] = [("run_id", "=", run_id)] if run_id is not None else [("tenant_id", "=", tenant)]
    if tenant is not None:
        check_tenant(tenant)
    if source is not None:
        where.append(("source", "=", source))
    if not read_rows(settings, INGEST_RUNS, where, columns=("run_id",)):
        selection = ", ".join(f"{name} {value!r}" for name, _, value in where)
        raise InvalidInput(f"{selection}: no such run. The view gold.ingest_runs lists all.")
    of_quarantine = [("ingest_run_id" if name == "run_id" else name, *rest) for name, *rest in where]
    rows = read_rows(settings, QUARANTINE, [(name, operator, value) for name, operator, value in of_quarantine])
    return [row for row in rows if row["resolved_by"] is None]


def _by_input(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """The rows grouped by their run's input: tenant, source, groups, paths."""
    rows_by_input: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["paths"] is not None:
            ingest_input = (row["tenant_id"], row["source"], tuple(row["default_groups"] or ()), tuple(row["paths"]))
            rows_by_input[ingest_input].append(row)
    return dict(sorted(rows_by_input.items()))


def _replay_input(settings: Settings, ingest_input: tuple[Any, ...], refused: Sequence[Row], progress: Progress) -> str:
    tenant, source, groups, paths = ingest_input
    run_id = new_run_id(f"replay-{tenant}")
    params = {
        "path": [document_address(path) for path in paths],
        "tenant": tenant,
        "groups": list(groups),
        "source": source,
        "snapshot": False,
        "replay": sorted({row["ingest_run_id"] for row in refused}),
    }
    run_dag(settings, "ingest", run_id, params, progress)
    return run_id


def _resolved_rows(settings: Settings, refused: Sequence[Row], new_run: str) -> list[Row]:
    """The refused rows that the new run resolved."""
    keys = {row["quarantine_id"] for row in refused}
    where = [("tenant_id", "=", refused[0]["tenant_id"]), ("resolved_by", "=", new_run)]
    return [row for row in read_rows(settings, QUARANTINE, where) if row["quarantine_id"] in keys]


def _total(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def summed(name: str) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for run in runs:
            counts.update(run[name])
        return dict(counts)

    return {
        "run_id": runs[-1]["run_id"] if runs else None,
        "run_ids": [run["run_id"] for run in runs],
        "documents": summed("documents"),
        "chunks": summed("chunks"),
        "embedded": sum(run["embedded"] for run in runs),
    }
