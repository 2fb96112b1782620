"""One job at a time writes documents, chunks or the index, also where somebody submits jobs by hand.

What Airflow starts waits in its pool, where everybody sees it, and never here. A second job beside it would decide by
tables that the first is about to change, and two writers lose rows of an embedded Milvus. The lock is the kernel's: it
goes with its process, however that ends, so a killed job leaves none behind. It holds among the jobs of one machine
and home; those of several machines meet in Delta, which refuses the later commit.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lakehouse.errors import LakehopError

# What is left of a job that was just killed ends within seconds; whoever works for longer is another job.
WAIT_S = 60.0
_PAUSE_S = 0.2


@contextmanager
def only_writer(home: Path, doing: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the lock; `doing` tells others who holds it. `LakehopError` when another job keeps it for `wait_s`."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "writer.lock").open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + wait_s
        while not _is_locked(file):
            if time.monotonic() >= deadline:
                file.seek(0)
                raise LakehopError(
                    f"another job is writing: {file.read()}. Nothing was done; wait until it ends, or start jobs "
                    "through Airflow, where they wait for each other."
                )
            time.sleep(_PAUSE_S)
        file.truncate(0)
        file.write(f"{doing}, process {os.getpid()}")
        file.flush()
        yield


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
