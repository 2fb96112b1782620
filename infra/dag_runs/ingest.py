"""`lakehop ingest` and `lakehop costs flush`: run the DAG that does the work, and report its counts.

Nothing here reads a document. Airflow does the work, retries and logs it, so a run started here looks like a scheduled
run and is repaired like one.
"""

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from infra.clients.airflow import AirflowClient, Progress
from infra.dag_runs.progress import Show, followed
from lakehouse.access.permissions import canonical_groups, check_tenant
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.settings import Settings
from lakehouse.storage.local_paths import given_path

DOCUMENT_COUNTS = ("seen", "added", "changed", "unchanged", "deleted", "quarantined", "skipped")


class Snapshot(NamedTuple):
    """Whether documents that the paths no longer hold are deleted, and whether that may be most of the source."""

    wanted: bool = False
    allow_deleting: bool = False


def ingest(
    settings: Settings,
    paths: Sequence[str],
    tenant: str,
    groups: Sequence[str],
    source: str | None,
    snapshot: Snapshot,
    progress: Progress,
    show: Show = lambda line, share: None,
) -> dict[str, Any]:
    """Ingest the paths by one run of the DAG, and return its counts, and the refused documents by kind of reason.

    `source` None: the source is named by all paths together, so a snapshot of other paths deletes nothing of it.
    Raises InvalidInput before anything runs when a path does not exist, and LakehopError with the end of the task's log
    when the run fails.
    """
    addresses = [document_address(path) for path in paths]
    params = {
        "path": addresses,
        "tenant": check_tenant(tenant),
        "groups": list(canonical_groups(groups)),
        "source": source or " ".join(sorted(addresses)),
        "snapshot": snapshot.wanted,
        "allow_deleting": snapshot.allow_deleting,
    }
    began, run_id = time.monotonic(), new_run_id(tenant)
    with followed(settings, run_id, show):
        run_dag(settings, "ingest", run_id, params, progress)
    counts = run_counts(settings, run_id) | {"seconds": round(time.monotonic() - began, 1)}
    return counts | {"refusals": refusals(settings, run_id, tenant) if counts["documents"]["quarantined"] else []}


def flush_costs(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Move spooled call records into the lakehouse now, by a run of `load_costs`."""
    began, run_id = time.monotonic(), new_run_id("flush")
    run_dag(settings, "load_costs", run_id, {}, progress)
    return {"run_id": run_id, "seconds": round(time.monotonic() - began, 1)}


def document_address(path: str) -> str:
    """The path made absolute, or the URI. Raises InvalidInput for an empty or missing local path."""
    if not path.strip():
        raise InvalidInput("path '': name a file, a folder, an s3:// address or a sitemap.")
    if urlsplit(path).scheme in ("s3", "s3a"):
        return path
    if urlsplit(path).scheme in ("http", "https"):
        if not urlsplit(path).hostname or not urlsplit(path).path.endswith((".xml", ".xml.gz")):
            raise InvalidInput(
                f"path {path!r}: a website is named by its sitemap, e.g. https://example.com/sitemap.xml."
            )
        return path
    local = given_path(path)
    if not local.exists():
        raise InvalidInput(
            f"path {path!r}: no such file or folder. Name an existing one, an s3:// address or a sitemap."
        )
    return str(local)


def new_run_id(subject: str) -> str:
    """A run id: subject, time, random suffix, e.g. `acme-20261121T031500-9f2c1a`."""
    return f"{subject}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def run_dag(settings: Settings, dag_id: str, run_id: str, params: dict[str, Any], progress: Progress) -> None:
    """Run a DAG and wait for its end. Raises LakehopError with the end of the failed task's log."""
    client = AirflowClient(settings)
    client.trigger(dag_id, run_id, params)
    progress(f"{dag_id} run {run_id}: {client.run_url(dag_id, run_id)}")
    run = client.wait(dag_id, run_id, settings.ingest_timeout_s, progress)
    if run.state != "success":
        raise LakehopError(client.failure(run))


def run_counts(settings: Settings, run_id: str) -> dict[str, Any]:
    """The counts of a run, summed over its steps."""
    from lakehouse.storage.delta import read_rows
    from lakehouse.tables import INGEST_RUNS

    steps = read_rows(settings, INGEST_RUNS, where=[("run_id", "=", run_id)])

    def total(column: str) -> int:
        return sum(step[column] or 0 for step in steps)

    return {
        "run_id": run_id,
        "documents": {name: total(f"documents_{name}") for name in DOCUMENT_COUNTS},
        "chunks": {"written": total("chunks_written"), "deleted": total("chunks_deleted")},
        "embedded": total("embedded"),
    }


def refusals(settings: Settings, run_id: str, tenant: str) -> list[dict[str, Any]]:
    """What the run refused: each kind of reason with its documents and one file as an example, the most first."""
    from lakehouse.storage.delta import read_rows
    from lakehouse.tables import QUARANTINE

    rows = read_rows(
        settings,
        QUARANTINE,
        where=[("tenant_id", "=", tenant), ("ingest_run_id", "=", run_id)],
        columns=("kind", "reason", "uri"),
    )
    kinds = Counter(row["kind"] for row in rows)
    examples = {row["kind"]: row for row in reversed(rows)}
    return [
        {"kind": kind, "documents": count, "example": examples[kind]["uri"], "reason": examples[kind]["reason"]}
        for kind, count in kinds.most_common()
    ]
