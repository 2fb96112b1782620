"""`lakehop forget`: run the DAG that removes documents or a tenant for good, and report its proof.

An unknown tenant, source or document is refused before anything runs. An interrupted request may have removed its rows
already; the same command is then accepted again and removes its files too.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from infra.clients.airflow import Progress
from infra.dag_runs.ingest import new_run_id, run_dag
from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import DOCUMENTS, FORGET_RUNS, QUARANTINE, TABLES, Forget

_LISTING = '`lakehop sql "select tenant_id, source, doc_id from bronze.documents"` lists all documents.'


def check_known(settings: Settings, tenant: str, source: str | None, documents: Sequence[str]) -> None:
    """Raise InvalidInput for a tenant, source or document without stored data."""
    check_tenant(tenant)
    if any(not document.strip() for document in documents) or source == "":
        raise InvalidInput("an empty --source or --document: name one, or leave the option out to forget all.")
    if _is_unfinished(settings, tenant, source, documents):
        return
    if source is None and not documents:
        if not any(_has_rows(settings, table, tenant) for table in TABLES if "tenant_id" in table.column_names):
            raise InvalidInput(f"tenant {tenant!r}: has no stored data, so nothing was removed. {_LISTING}")
        return
    known = _known_documents(settings, tenant, source)
    where = f"source {source!r} of tenant {tenant!r}" if source else f"tenant {tenant!r}"
    if unknown := sorted(set(documents) - known):
        ids = ", ".join(map(repr, unknown[:5]))
        raise InvalidInput(f"document {ids}: {where} has no document with this id; nothing was removed. {_LISTING}")
    if not known:
        raise InvalidInput(f"{where}: has no documents; nothing was removed. {_LISTING}")


def forget(
    settings: Settings, tenant: str, source: str | None, documents: Sequence[str], progress: Progress
) -> dict[str, Any]:
    """Forget by one run of the DAG; return removed rows by table, the number of purged files, and the proof.

    Raises InvalidInput before anything runs when there is nothing to forget, LakehopError when the run fails, which
    includes a row that is left anywhere.
    """
    check_known(settings, tenant, source, documents)
    began, run_id = time.monotonic(), new_run_id(f"forget-{tenant}")
    params = {"tenant": tenant, "source": source or "", "document": list(documents)}
    run_dag(settings, "forget", run_id, params, progress)
    places = read_rows(settings, FORGET_RUNS, [("run_id", "=", run_id)])
    if not places or not all(row["proven_at"] for row in places):
        raise LakehopError(f"run {run_id!r} left no proof in ops.forget_runs. Run the same command again.")
    return {
        "run_id": run_id,
        "removed": {row["place"]: row["rows_removed"] for row in sorted(places, key=lambda row: row["place"])},
        "files_purged": sum(row["files_purged"] for row in places),
        "proof": {"places_read": len(places), "rows_left": sum(row["rows_left"] for row in places)},
        "seconds": round(time.monotonic() - began, 1),
    }


def _is_unfinished(settings: Settings, tenant: str, source: str | None, documents: Sequence[str]) -> bool:
    """Whether the same request ran before without a proof."""
    hashes = sorted(hashlib.sha256(document.encode()).hexdigest() for document in set(documents))
    rows = read_rows(settings, FORGET_RUNS, [("tenant_id", "=", tenant)])
    return any(
        row["proven_at"] is None and row["source"] == source and sorted(row["documents"]) == hashes for row in rows
    )


def _has_rows(settings: Settings, table: Any, tenant: str) -> bool:
    if table.forget in (Forget.KEPT, Forget.BILL):  # a removal keeps these tables' rows
        return False
    return bool(read_rows(settings, table, [("tenant_id", "=", tenant)], columns=("tenant_id",)))


def _known_documents(settings: Settings, tenant: str, source: str | None) -> set[str | None]:
    """Ids of ingested and refused documents; None for a document refused without an id."""
    where = [("tenant_id", "=", tenant)] + ([("source", "=", source)] if source else [])
    tables = (DOCUMENTS, QUARANTINE)
    return {row["doc_id"] for table in tables for row in read_rows(settings, table, where, columns=("doc_id",))}
