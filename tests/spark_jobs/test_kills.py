"""An ingest that is killed, wherever it is, and run again leaves what an undisturbed one leaves, to the last row.

The jobs run as Airflow submits them, each in a JVM of its own, and are killed with SIGKILL at random moments: the whole
job, or one of its Python workers. `make test-long` runs this.
"""

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.tables import CHUNKS
from tests.spark_jobs.house import BUILD, LOAD, House, assert_same, house

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(3000)]

KILLS = 8
SEED = int(os.environ.get("KILL_SEED", "1"))


def corpus(number: int) -> list[dict[str, Any] | str]:
    """The same documents twice; in between some are edited, regrouped, gone or new, and a bad row stays bad."""
    rows: list[dict[str, Any] | str] = ["{no json"]
    for n in range(12):
        if number == 2 and n in (3, 7):
            continue
        edited = number == 2 and n % 4 == 0
        text = f"Project {n} builds part {n}{' anew' if edited else ''}. It follows Plan {(n + 1) % 12}. " * 12
        groups = ["hr"] if n % 3 == 0 else ["eng", "hr"] if number == 2 and n % 3 == 1 else []
        rows.append({"id": f"plan-{n}", "title": f"Plan {n}", "text": text, "groups": groups})
    return [*rows, {"id": "late", "title": "Late", "text": "Added on the second day."}] if number == 2 else rows


def kill_somewhere(job: "subprocess.Popen[bytes]", within_s: float, chance: random.Random) -> str:
    """Kill the job, or one of its Python workers, at a random moment; return what was killed."""
    time.sleep(chance.uniform(0.2, 1.0) * within_s)
    victim = "job"
    if chance.random() < 0.4 and job.poll() is None:
        workers = [
            p for p in psutil.Process(job.pid).children(recursive=True) if "pyspark.daemon" in " ".join(_line(p))
        ]
        if workers:
            victim = "worker"
            chance.choice(workers).kill()
    if victim == "job" and job.poll() is None:
        os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    return victim


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def start(house: House, steps: tuple[str, ...], day: int) -> "subprocess.Popen[bytes]":
    """Submit the steps of a day's ingest. One path for both days: the source is a file, of which there are editions."""
    feed = house.settings.home / "feed.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in corpus(day)]
    feed.write_text("\n".join(lines) + "\n")
    return house.start(steps, feed, run_id=f"day{day}")


def finish(house: House, steps: tuple[str, ...], day: int) -> float:
    """Run the steps to their end; return the seconds that they took."""
    begun = time.monotonic()
    house.await_success(start(house, steps, day))
    return time.monotonic() - begun


def test_killed_jobs_leave_what_undisturbed_ones_leave(tmp_path: Path, free_port: Callable[[], int]) -> None:
    submits = [(steps, day) for day in (1, 2) for steps in (LOAD, BUILD)]
    with house(tmp_path / "calm", free_port()) as calm:
        seconds = {submit: finish(calm, *submit) for submit in submits}
        wanted = calm.contents()
    assert len(wanted["milvus"]) == len(wanted[CHUNKS.name]) > 10

    chance, killed = random.Random(SEED), []  # noqa: S311  to be repeated, not to be secret
    with house(tmp_path / "killed", free_port()) as disturbed:
        for submit in submits:
            for _ in range(KILLS // len(submits)):
                killed.append(kill_somewhere(start(disturbed, *submit), seconds[submit], chance))
            finish(disturbed, *submit)
        found = disturbed.contents()

    print(f"seed {SEED}: killed {', '.join(killed)}")
    assert_same(found, wanted, f"kills with KILL_SEED={SEED}")
