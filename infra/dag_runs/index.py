"""`lakehop reindex` and `lakehop reconcile`: run the DAG, and report what became of each tenant's index."""

import time
from pathlib import Path
from typing import Any

from infra.clients.airflow import Progress
from infra.dag_runs.ingest import new_run_id, run_dag
from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput, NotFound
from lakehouse.settings import Settings

DRIFTS = ("missing", "extra", "stale_text", "stale_permissions", "stale_counts")


def reindex(settings: Settings, model: str, tenant: str | None, progress: Progress) -> dict[str, Any]:
    """Move the tenant, None: all, to the model; return what is live now.

    `rebuilt` tells those that this run moved from those that had the model already. Raises `InvalidInput` before
    anything runs for a bad tenant, `LakehopError` when a tenant keeps its old index.
    """
    from lakehouse.storage.delta import read_rows
    from lakehouse.tables import INDEX_VERSIONS

    if not model.strip():
        raise InvalidInput(f"embedding model {model!r}: is empty. Name a model of the environment, or a folder.")
    # a folder is named for other processes, which work elsewhere
    folder = str(Path(model).resolve()) if Path(model).is_dir() else model
    params = {"embedding_model": folder, "tenant": _checked(tenant)}
    begun, run_id = time.monotonic(), new_run_id(tenant or "all")
    run_dag(settings, "reindex", run_id, params, progress)
    live = read_rows(settings, INDEX_VERSIONS, [("state", "=", "live"), *_of(tenant)])
    shown = ("collection", "embedding_model", "dimension", "chunks", "recall")
    return {
        "run_id": run_id,
        "tenants": [
            {"tenant": row["tenant_id"], **{name: row[name] for name in shown}, "rebuilt": row["run_id"] == run_id}
            for row in sorted(live, key=lambda row: row["tenant_id"])
        ],
        "seconds": round(time.monotonic() - begun, 1),
    }


def reconcile(settings: Settings, tenant: str | None, progress: Progress) -> dict[str, Any]:
    """Compare and repair the tenant's index, None: all; return how many rows differed, by kind."""
    from lakehouse.storage.delta import read_rows
    from lakehouse.tables import RECONCILE_RUNS

    begun, run_id = time.monotonic(), new_run_id(tenant or "all")
    run_dag(settings, "reconcile", run_id, {"tenant": _checked(tenant)}, progress)
    rows = read_rows(settings, RECONCILE_RUNS, [("run_id", "=", run_id)])
    if tenant and not any(row["chunks"] for row in rows):
        raise NotFound(
            f"tenant {tenant!r}: nothing of it is indexed. Run `lakehop ingest PATH --tenant {tenant}` first."
        )
    shown = ("collection", "chunks", *DRIFTS)
    return {
        "run_id": run_id,
        "tenants": [
            {"tenant": row["tenant_id"], **{name: row[name] for name in shown}}
            for row in sorted(rows, key=lambda row: row["tenant_id"])
        ],
        "seconds": round(time.monotonic() - begun, 1),
    }


def _checked(tenant: str | None) -> str:
    return check_tenant(tenant) if tenant is not None else ""


def _of(tenant: str | None) -> list[tuple[str, str, Any]]:
    return [("tenant_id", "=", tenant)] if tenant else []
