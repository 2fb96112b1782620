"""`lakehop reindex` and `lakehop reconcile`: run the DAG, and report each tenant's index."""

import time
from pathlib import Path
from typing import Any

from infra.clients.airflow import Progress
from infra.dag_runs.ingest import new_run_id, run_dag
from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput, NotFound
from lakehouse.settings import Settings

DIFFERENCES = ("missing", "extra", "stale_text", "stale_permissions", "stale_counts")


def reindex(settings: Settings, model: str, tenant: str | None, progress: Progress) -> dict[str, Any]:
    """Move the tenant (None: all tenants) to the model; return the live indexes.

    `rebuilt` is True for an index that this run built, False for a tenant that had the model already. Raises
    InvalidInput for a bad tenant before anything runs, LakehopError when a tenant keeps its old index.
    """
    from lakehouse.storage.delta import read_rows
    from lakehouse.tables import INDEX_VERSIONS

    if not model.strip():
        raise InvalidInput(f"embedding model {model!r}: is empty. Name an installed model, or a model's folder.")
    # absolute, because Spark jobs run in another folder
    folder = str(Path(model).resolve()) if Path(model).is_dir() else model
    params = {"embedding_model": folder, "tenant": _checked(tenant)}
    began, run_id = time.monotonic(), new_run_id(tenant or "all")
    run_dag(settings, "reindex", run_id, params, progress)
    live = read_rows(settings, INDEX_VERSIONS, [("state", "=", "live"), *_of(tenant)])
    columns = ("collection", "embedding_model", "dimension", "chunks", "recall")
    return {
        "run_id": run_id,
        "tenants": [
            {"tenant": row["tenant_id"], **{name: row[name] for name in columns}, "rebuilt": row["run_id"] == run_id}
            for row in sorted(live, key=lambda row: row["tenant_id"])
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def reconcile(settings: Settings, tenant: str | None, progress: Progress) -> dict[str, Any]:
    """Compare and repair the index of the tenant (None: all tenants); return the number of different rows by kind."""
    from lakehouse.storage.delta import read_rows
    from lakehouse.tables import RECONCILE_RUNS

    began, run_id = time.monotonic(), new_run_id(tenant or "all")
    run_dag(settings, "reconcile", run_id, {"tenant": _checked(tenant)}, progress)
    rows = read_rows(settings, RECONCILE_RUNS, [("run_id", "=", run_id)])
    if tenant and not any(row["chunks"] for row in rows):
        raise NotFound(f"tenant {tenant!r}: has no indexed chunks. Run `lakehop ingest PATH --tenant {tenant}` first.")
    columns = ("collection", "chunks", *DIFFERENCES)
    return {
        "run_id": run_id,
        "tenants": [
            {"tenant": row["tenant_id"], **{name: row[name] for name in columns}}
            for row in sorted(rows, key=lambda row: row["tenant_id"])
        ],
        "seconds": round(time.monotonic() - began, 1),
    }


def _checked(tenant: str | None) -> str:
    return check_tenant(tenant) if tenant is not None else ""


def _of(tenant: str | None) -> list[tuple[str, str, Any]]:
    return [("tenant_id", "=", tenant)] if tenant else []
