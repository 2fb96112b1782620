"""The same jobs on a Spark standalone cluster: a master and two workers as processes, each with a GPU that is made up.

`make test-long` runs this. The second worker stands at 127.0.0.2, so that Spark's event log says who did what.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pyspark
import pytest

from lakehouse.settings import PROJECT_ROOT
from lakehouse.tables import CHUNKS, LINKS
from tests.spark_jobs.house import BUILD, LOAD, House, assert_same, house

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(2400)]

HOSTS = ("127.0.0.1", "127.0.0.2")
LEAN = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # as local masters have it: these JVMs live for a minute
DEFAULTS = """\
spark.eventLog.enabled true
spark.eventLog.dir file://{events}
spark.eventLog.compress false
spark.eventLog.rolling.enabled false
spark.ui.enabled false
spark.log.level ERROR
spark.driver.extraJavaOptions {lean}
spark.executor.extraJavaOptions {lean}
spark.sql.shuffle.partitions 2
spark.databricks.delta.snapshotPartitions 2
spark.dynamicAllocation.maxExecutors 2
"""


@dataclass(frozen=True)
class Cluster:
    """Where its master listens, its processes by host, and what an application must know to use it."""

    master: str
    workers: dict[str, "subprocess.Popen[bytes]"]
    environment: dict[str, str]
    events: Path

    def settings(self) -> dict[str, Any]:
        return {"spark_master": self.master, "spark_executor_memory": "700m"}

    def executor(self, host: str) -> psutil.Process | None:
        """The JVM that runs tasks at a host, while an application has one there."""
        for process in psutil.Process(self.workers[host].pid).children(recursive=True):
            try:
                if any("CoarseGrainedExecutorBackend" in part for part in process.cmdline()):
                    return process
            except psutil.Error:
                continue
        return None

    def said(self, event: str) -> list[dict[str, Any]]:
        """Events of one kind of all applications so far."""
        lines = [line for log in self.events.iterdir() for line in log.read_text().splitlines()]
        return [json.loads(line) for line in lines if f'"Event":"SparkListener{event}"' in line and line.endswith("}")]


@contextmanager
def spark_class(name: str, *arguments: str, log: Path, conf: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
    environment = os.environ | {
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_CONF_DIR": str(conf),
        "SPARK_DAEMON_JAVA_OPTS": LEAN,
    }
    # an executor inherits its worker's environment: our code must reach it from the driver and in no other way
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *arguments], env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    conf, events, port = folder / "conf", folder / "events", free_port()
    conf.mkdir()
    events.mkdir()
    (conf / "spark-defaults.conf").write_text(DEFAULTS.format(events=events, lean=LEAN))
    master = f"spark://127.0.0.1:{port}"
    with ExitStack() as running:
        bound = ("--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
        running.enter_context(spark_class("master.Master", *bound, log=folder / "master.log", conf=conf))
        until = time.monotonic() + 120
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until, (folder / "master.log").read_text()
            time.sleep(0.2)
        workers = {}
        for number, host in enumerate(HOSTS):
            announcing = folder / f"gpu{number}.sh"
            announcing.write_text(f"""#!/bin/sh\necho '{{"name": "gpu", "addresses": ["{number}"]}}'\n""")
            announcing.chmod(0o755)
            properties = folder / f"worker{number}.conf"
            properties.write_text(
                f"spark.worker.resource.gpu.amount 1\nspark.worker.resource.gpu.discoveryScript {announcing}\n"
            )
            arguments = ["--host", host, "--port", "0", "--webui-port", "0", "--cores", "2", "--memory", "1500m"]
            arguments += ["--work-dir", str(folder / f"work{number}"), "--properties-file", str(properties), master]
            log = folder / f"worker{number}.log"
            workers[host] = running.enter_context(spark_class("worker.Worker", *arguments, log=log, conf=conf))
            until = time.monotonic() + 120
            while "Successfully registered with master" not in log.read_text():
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.2)
        environment = {"SPARK_CONF_DIR": str(conf), "SPARK_LOCAL_IP": "127.0.0.1"}
        yield Cluster(master, workers, environment, events)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documents that link to one another, some of which have to be converted; one that can't be read."""
    folder = tmp_path_factory.mktemp("documents")
    for n in range(24):
        # no two sections are alike, so that there are more texts to embed than one task takes
        sections = [
            f"## Part {n}.{part}\n\nProject {n} builds machine {n * 7 + part}, after [Plan](plan-{n + 1}.md), "
            f"by {' '.join(f'step {n}-{part}-{step}' for step in range(30))}.\n"
            for part in range(3)
        ]
        (folder / f"plan-{n}.md").write_text(f"# Plan {n}\n\n" + "\n".join(sections))
    for n in range(2):
        (folder / f"page-{n}.html").write_text(
            f"<title>Page {n}</title><h1>Page {n}</h1><p>See <a href='plan-{n}.md'>it</a>."
        )
    (folder / "broken.md").write_bytes(b"\xff\xfe\x00broken")
    return folder


def kill_an_executor(cluster: Cluster, host: str, job: "subprocess.Popen[bytes]", after_tasks: int) -> None:
    """Kill the executor at a host with SIGKILL once the job has done so many tasks."""
    done_before = len(cluster.said("TaskEnd"))
    while len(cluster.said("TaskEnd")) < done_before + after_tasks or not (victim := cluster.executor(host)):
        assert job.poll() is None, "the job ended before its executor could be killed"
        time.sleep(0.2)
    os.kill(victim.pid, signal.SIGKILL)


def test_a_cluster_that_loses_executors_leaves_what_one_machine_leaves(
    cluster: Cluster, documents: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    with house(tmp_path / "machine", free_port()) as machine:
        machine.run((*LOAD, *BUILD), documents, run_id="day1")
        wanted = machine.contents()
    assert len(wanted["milvus"]) == len(wanted[CHUNKS.name]) > 64
    assert len(wanted[LINKS.name]) > 24

    with house(tmp_path / "cluster", free_port(), cluster.environment, **cluster.settings()) as clustered:
        for steps, host in ((LOAD, HOSTS[0]), (BUILD, HOSTS[1])):
            job = clustered.start(steps, documents, run_id="day1")
            kill_an_executor(cluster, host, job, after_tasks=20)
            clustered.await_success(job)
        found = clustered.contents()

    assert_same(found, wanted, "a run on the cluster")
    ran_on = [event["Task Info"]["Host"] for event in cluster.said("TaskEnd")]
    assert set(ran_on) == set(HOSTS)
    print({host: ran_on.count(host) for host in HOSTS})
    # removed before their application ended: at least the two that were killed
    assert len(cluster.said("ExecutorRemoved")) >= 2


def noted_gpus(house: House, documents: Path, notes: Path) -> dict[str, list[dict[str, Any]]]:
    script = PROJECT_ROOT / "tests" / "spark_jobs" / "noting_gpus.py"
    house.run(("parse_documents", "chunk_documents", "embed_chunks"), documents, "day1", script)
    found: dict[str, list[dict[str, Any]]] = {}
    for note in map(Path.read_text, notes.iterdir()):
        found.setdefault(json.loads(note)["stage"], []).append(json.loads(note))
    return found


@pytest.mark.parametrize("comes_and_goes", [False, True], ids=["fixed executors", "dynamic allocation"])
def test_only_the_embedding_stage_occupies_gpus(
    cluster: Cluster, tmp_path: Path, free_port: Callable[[], int], comes_and_goes: bool
) -> None:
    notes, few = tmp_path / "notes", tmp_path / "few"
    notes.mkdir()
    few.mkdir()
    for n in range(80):  # more texts than one task embeds
        (few / f"{n}.md").write_text(f"# Plan {n}\n\nProject {n} builds machine {n}.")
    given = cluster.settings() | {
        "spark_gpus_per_task": Decimal(1), "spark_executor_cores": 1, "spark_dynamic_allocation": comes_and_goes
    }  # fmt: skip
    environment = cluster.environment | {"GPU_NOTES": str(notes)}
    with house(tmp_path / "house", free_port(), environment, **given) as gpus:
        noted = noted_gpus(gpus, few, notes)

    assert set(noted) == {"chunk", "embed"}
    assert {tuple(note["given"]) for note in noted["chunk"]} == {()}
    addresses = [note["given"]["gpu"] for note in noted["embed"]]
    assert len(addresses) >= 2
    assert all(len(one) == 1 for one in addresses)
    assert {one for (one,) in addresses} <= {"0", "1"}
    assert all("lakehop.zip" in note["code"] for stage in noted.values() for note in stage)
