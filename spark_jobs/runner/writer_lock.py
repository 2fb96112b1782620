"""One job at a time writes documents, chunks or the index, also when somebody submits a job by hand.

Jobs that Airflow starts wait in its pool, where everybody sees them, and never here. Two writers at once would lose
rows: the second decides by tables that the first is about to change, and an embedded Milvus allows one writer only.
The kernel holds the lock (flock), so it ends with its process: a killed job leaves no stale lock. The lock covers one
machine and home; jobs of several machines meet in Delta, which refuses the later commit.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lakehouse.errors import LakehopError

# A job that was just killed ends within seconds. A lock that is held for longer belongs to a running job.
WAIT_S = 60.0
_POLL_S = 0.2


@contextmanager
def only_writer(home: Path, holder: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the writer lock of `home`. `holder` describes this job in the message that other jobs get meanwhile.

    Raises `LakehopError` when another job still holds the lock after `wait_s` seconds.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = home / "writer.lock"
    # A file system without flock is an error: the library's other kind of lock would outlive a killed job.
    lock = FileLock(path, timeout=wait_s, poll_interval=_POLL_S, fallback_to_soft=False)
    try:
        held = lock.acquire()
    except Timeout:
        raise LakehopError(
            f"another job is writing: {path.read_text()}. Nothing was done; wait until it ends, or start jobs "
            "through Airflow, where they wait for each other."
        ) from None
    with held:
        path.write_text(f"{holder}, process {os.getpid()}")
        yield
