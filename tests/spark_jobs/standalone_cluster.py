"""A Spark standalone cluster of a test's own: a master and two workers as processes, each with a GPU that is made up.

The second worker stands at 127.0.0.2, so that Spark's event log says who did what.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyspark

from lakehouse.spark_conf import SHORT_LIVED_JVM

HOSTS = ("127.0.0.1", "127.0.0.2")
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

    def await_tasks(self, more: int, job: "subprocess.Popen[bytes]") -> None:
        """Wait until so many more tasks are done; the job must not end before."""
        done_before = len(self.said("TaskEnd"))
        while len(self.said("TaskEnd")) < done_before + more:
            assert job.poll() is None, "the job ended before it could be disturbed"
            time.sleep(0.2)

    def kill_an_executor(self, host: str, job: "subprocess.Popen[bytes]", after_tasks: int) -> None:
        """Kill the executor at a host with SIGKILL once the job has done so many tasks."""
        self.await_tasks(after_tasks, job)
        while not (victim := self.executor(host)):
            assert job.poll() is None, "the job ended before its executor could be killed"
            time.sleep(0.2)
        os.kill(victim.pid, signal.SIGKILL)


@contextmanager
def spark_class(name: str, *arguments: str, log: Path, conf: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}"]
    environment = os.environ | {
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_CONF_DIR": str(conf),
        "SPARK_DAEMON_JAVA_OPTS": SHORT_LIVED_JVM,
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


@contextmanager
def started(folder: Path, port: int) -> Iterator[Cluster]:
    """A cluster whose master listens at `port`; `folder`: for its logs and its workers' files."""
    conf, events = folder / "conf", folder / "events"
    conf.mkdir()
    events.mkdir()
    (conf / "spark-defaults.conf").write_text(DEFAULTS.format(events=events, lean=SHORT_LIVED_JVM))
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
