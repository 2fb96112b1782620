"""An ingest that is killed, wherever it is, and run again leaves what an undisturbed one leaves, to the last row.

The jobs run as Airflow submits them, each in a JVM of its own, and are killed with SIGKILL at random moments: the whole
job, or one of its Python workers. `make test-long` runs this.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from lakehouse.collection import PASSAGE_COLUMNS
from lakehouse.delta import read_rows
from lakehouse.index import Index
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.tables import ACL_KEYS, CHUNKS, DOCUMENTS, EMBEDDINGS, LINKS, MENTIONS, QUARANTINE, TITLES

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(3000)]

LOAD = ("parse_documents", "chunk_documents", "link_documents")
BUILD = ("embed_chunks", "sync_index")
TABLES = (DOCUMENTS, QUARANTINE, CHUNKS, ACL_KEYS, MENTIONS, LINKS, TITLES)
CLOCKS = ("quarantined_at", "ingest_run_id", "resolved_by", "quarantine_id")
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


class House:
    """A warehouse and a Milvus of their own, and the jobs that fill them."""

    def __init__(self, folder: Path, port: int) -> None:
        self.settings = Settings(home=folder, spark_driver_memory="1g", milvus_uri=f"http://127.0.0.1:{port}")
        for number in (1, 2):
            lines = [row if isinstance(row, str) else json.dumps(row) for row in corpus(number)]
            (folder / f"day{number}.jsonl").write_text("\n".join(lines) + "\n")

    def start(self, steps: tuple[str, ...], day: int) -> "subprocess.Popen[bytes]":
        """Submit the steps of a day's ingest, in a process group of their own."""
        conf = [f"--conf={name}={value}" for name, value in self.settings.spark_conf.items()]
        # one path for both days: the source is one file, of which there is a new edition
        (self.settings.home / "feed.jsonl").write_bytes((self.settings.home / f"day{day}.jsonl").read_bytes())
        command = [str(Path(sys.executable).parent / "spark-submit"), "--master", "local[2]", *conf]
        command += [str(PROJECT_ROOT / "spark_jobs" / "main.py"), *steps, f"--run-id=day{day}", "--tenant=acme"]
        command += ["--source=wiki", f"--path={self.settings.home / 'feed.jsonl'}", "--snapshot"]
        given = {name: str(getattr(self.settings, name)) for name in ("home", "spark_driver_memory", "milvus_uri")}
        environment = os.environ | {f"LAKEHOP_{name.upper()}": value for name, value in given.items()}
        environment["PATH"] = (
            f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # spark-submit asks Python
        )
        log = (self.settings.home / "jobs.log").open("ab")
        return subprocess.Popen(
            command, env=environment | {"PYTHONPATH": str(PROJECT_ROOT)}, stdout=log, stderr=log, start_new_session=True
        )

    def finish(self, steps: tuple[str, ...], day: int) -> float:
        """Run the steps to their end; return the seconds that they took."""
        begun = time.monotonic()
        assert self.start(steps, day).wait() == 0, (self.settings.home / "jobs.log").read_text()[-3000:]
        return time.monotonic() - begun

    def contents(self) -> dict[str, Any]:
        """Every row of every table and of the live collection, without clocks."""
        found: dict[str, Any] = {}
        for table in TABLES:
            rows = read_rows(self.settings, table)
            kept = [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]
            text = [json.dumps(row, sort_keys=True, default=str) for row in kept]
            found[table.name] = sorted(line.replace(str(self.settings.home), "HOME") for line in text)
        found[EMBEDDINGS.name] = sorted(row["content_hash"] for row in read_rows(self.settings, EMBEDDINGS))
        index = Index(self.settings)
        columns = ("chunk_id", "tenant_id", "acl_key", "source", *PASSAGE_COLUMNS, "vector")
        rows = sorted(index.rows(index.live_collection("acme") or "", columns, "", ""), key=lambda row: row["chunk_id"])
        index.close()
        found["vectors"] = np.array([row.pop("vector") for row in rows])
        found["milvus"] = [json.dumps(row, sort_keys=True).replace(str(self.settings.home), "HOME") for row in rows]
        return found


@contextmanager
def house(folder: Path, port: int) -> Iterator[House]:
    folder.mkdir()
    command = [str(Path(sys.executable).parent / "milvus-lite"), "server", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--data-dir", str(folder / "milvus")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None, "milvus-lite ended"
            time.sleep(0.1)
        yield House(folder, port)
    finally:
        server.kill()
        server.wait()


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


def test_killed_jobs_leave_what_undisturbed_ones_leave(tmp_path: Path, free_port: Callable[[], int]) -> None:
    submits = [(steps, day) for day in (1, 2) for steps in (LOAD, BUILD)]
    with house(tmp_path / "calm", free_port()) as calm:
        seconds = {submit: calm.finish(*submit) for submit in submits}
        wanted = calm.contents()
    assert len(wanted["milvus"]) == len(wanted[CHUNKS.name]) > 10

    chance, killed = random.Random(SEED), []  # noqa: S311  to be repeated, not to be secret
    with house(tmp_path / "killed", free_port()) as disturbed:
        for submit in submits:
            for _ in range(KILLS // len(submits)):
                killed.append(kill_somewhere(disturbed.start(*submit), seconds[submit], chance))
            disturbed.finish(*submit)
        found = disturbed.contents()

    print(f"seed {SEED}: killed {', '.join(killed)}")
    np.testing.assert_allclose(found.pop("vectors"), wanted.pop("vectors"), atol=1e-4)
    for name, rows in wanted.items():
        assert found[name] == rows, f"{name} differs after kills with KILL_SEED={SEED}"
