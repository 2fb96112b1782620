"""One job at a time writes a tenant's documents, chunks and index, also when somebody submits a job by hand.

Two writers of one tenant would lose rows: the second decides by tables that the first is about to change, and an
embedded Milvus allows one writer of a collection. Jobs of different tenants write different partitions and collections,
so they run at the same time. A job of all tenants, and one that removes what tenants share, runs alone.

The kernel holds the locks (flock), so they end with their process: a killed job leaves no stale lock. They cover one
machine and home; jobs of several machines meet in Delta, which refuses the later one.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.errors import LakehopError

# A job that was just killed ends within seconds. A lock that is held for longer belongs to a running job.
WAIT_S = 60.0
_POLL_S = 0.2


class AnotherWriterError(LakehopError):
    """Another job of the tenant, or of all tenants, is at work; nothing was done."""


@contextmanager
def only_writer(home: Path, holder: str, tenant_id: str | None = None, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the writer lock of a tenant, or of all tenants (None), below `home`.

    `holder` describes this job in the message that other jobs get meanwhile. Raises `AnotherWriterError` when another
    job still holds the lock after `wait_s` seconds.
    """
    all_tenants = home / "writer.lock"
    if tenant_id is None:
        with _locked(all_tenants, holder, fcntl.LOCK_EX, wait_s):
            yield
        return
    one_tenant = home / "writers" / f"{tenant_id}.lock"
    with _locked(all_tenants, holder, fcntl.LOCK_SH, wait_s), _locked(one_tenant, holder, fcntl.LOCK_EX, wait_s):
        yield


@contextmanager
def _locked(path: Path, holder: str, kind: int, wait_s: float) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        deadline = time.monotonic() + wait_s
        while not _is_acquired(file.fileno(), kind):
            if time.monotonic() >= deadline:
                raise AnotherWriterError(
                    f"another job is writing: {_holders(path)}. Nothing was done; wait until it ends, or start jobs "
                    "through Airflow, where they wait for each other."
                )
            time.sleep(_POLL_S)
        if kind == fcntl.LOCK_EX:
            path.write_text(f"{holder}, process {os.getpid()}")
        yield  # closing the file ends the lock


def _is_acquired(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path) -> str:
    """Who holds the lock: of all tenants' lock, also the jobs of single tenants that share it."""
    shared = [file for file in (path.parent / "writers").glob("*.lock") if not _is_free(file)]
    return "; ".join(file.read_text() for file in shared) or path.read_text()


def _is_free(path: Path) -> bool:
    with path.open("a+") as file:
        return _is_acquired(file.fileno(), fcntl.LOCK_EX)
