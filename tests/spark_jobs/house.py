"""A separate warehouse and Milvus, filled by jobs that are submitted as Airflow does, each in its own JVM.

For tests that compare whole runs: the tables and collections of two runs are compared to the last row and vector.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import SecretStr

from lakehouse.index.index import Index
from lakehouse.index.layout import PASSAGE_COLUMNS
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.spark_conf import embedding_conf, spark_conf
from lakehouse.storage.delta import read_rows
from lakehouse.tables import ACL_KEYS, CHUNKS, DOCUMENTS, EMBEDDINGS, FREQUENCIES, QUARANTINE
from spark_jobs.index.name_frequencies import NEXT_BATCH
from tests.lite_server import LiteServer

LOAD = ("parse_documents", "chunk_documents")
BUILD = ("embed_chunks", "sync_index")
TABLES = (DOCUMENTS, QUARANTINE, CHUNKS, ACL_KEYS)
CLOCKS = ("quarantined_at", "ingest_run_id", "resolved_by", "quarantine_id")


class House:
    """One separate lakehouse: submit its jobs, read its content.

    `environment`: more environment variables of the jobs. `source`: address of the documents, left out of comparisons.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None, source: str = "") -> None:
        self.settings = settings
        self.source = source
        self.log = settings.home / "jobs.log"
        self._environment = environment or {}
        self._jobs: list[subprocess.Popen[bytes]] = []

    def start(
        self, steps: tuple[str, ...], path: Path | str, run_id: str, script: Path | None = None
    ) -> "subprocess.Popen[bytes]":
        """Submit the steps of an ingest in a new process group; `script` replaces `spark_jobs/main.py`."""
        programs = Path(sys.executable).parent
        conf = embedding_conf(self.settings) if "embed_chunks" in steps else spark_conf(self.settings)
        command = [str(programs / "spark-submit"), "--master", self.settings.spark_master]
        command += [f"--conf={name}={value}" for name, value in conf.items()]
        command += [str(script or PROJECT_ROOT / "spark_jobs" / "main.py"), *steps, f"--run-id={run_id}"]
        command += ["--tenant=acme", "--source=wiki", f"--path={path}", "--snapshot"]
        with self.log.open("ab") as log:
            job = subprocess.Popen(
                command, env=self._environment_of_jobs(), stdout=log, stderr=log, start_new_session=True
            )
        self._jobs.append(job)
        return job

    def run(self, steps: tuple[str, ...], path: Path | str, run_id: str, script: Path | None = None) -> None:
        self.await_success(self.start(steps, path, run_id, script))

    def stop(self) -> None:
        """Kill jobs that a failed test left running."""
        for job in self._jobs:
            if job.poll() is None:
                os.killpg(job.pid, signal.SIGKILL)
                job.wait()

    def await_success(self, job: "subprocess.Popen[bytes]") -> None:
        assert job.wait() == 0, self.log.read_text()[-3000:]

    def _environment_of_jobs(self) -> dict[str, str]:
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        spelled = {
            f"LAKEHOP_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            for name, value in given.items()
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # spark-submit asks Python
        return os.environ | spelled | {"PATH": path, "PYTHONPATH": str(PROJECT_ROOT)} | self._environment

    def tables(self) -> dict[str, list[str]]:
        """Every row of the tables that need no model, in the form of `contents`."""
        found = {}
        for table in TABLES:
            rows = read_rows(self.settings, table)
            kept = [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]
            found[table.name] = sorted(map(self._placeless, kept))
        return found

    def contents(self) -> dict[str, Any]:
        """Every row of every table and of the live collection, without times, run ids and addresses of the house."""
        found: dict[str, Any] = self.tables()
        found[EMBEDDINGS.name] = sorted(row["content_hash"] for row in read_rows(self.settings, EMBEDDINGS))
        counts = [(row["key"], row["chunks"]) for row in read_rows(self.settings, FREQUENCIES)]
        found[FREQUENCIES.name] = sorted(count for count in counts if count[0] != NEXT_BATCH)  # a kill may part a batch
        index = Index(self.settings)
        columns = ("chunk_id", "tenant_id", "acl_key", "source", *PASSAGE_COLUMNS, "spoken", "vector")
        rows = sorted(
            index.reader.rows(index.collections.live("acme") or "", columns, "", ""), key=lambda row: row["chunk_id"]
        )
        index.close()
        found["vectors"] = np.array([row.pop("vector") for row in rows])
        found["milvus"] = list(map(self._placeless, rows))
        return found

    def _placeless(self, row: dict[str, Any]) -> str:
        text = json.dumps(row, sort_keys=True, default=str)
        addressed = self.source.replace("s3a://", "s3://") if "://" in self.source else f"file://{self.source}"
        for place in filter(None, (addressed, self.source, str(self.settings.home))):
            text = text.replace(place, "PLACE")
        return text


def assert_same(found: dict[str, Any], wanted: dict[str, Any], after: str) -> None:
    """Fail if the contents of two houses differ. Vectors may differ by rounding in another order of sums."""
    np.testing.assert_allclose(found["vectors"], wanted["vectors"], atol=1e-4)
    for name, rows in wanted.items():
        if name != "vectors":
            assert found[name] == rows, f"{name} differs after {after}"


@contextmanager
def house(
    folder: Path, port: int, environment: Mapping[str, str] | None = None, source: str = "", **given: Any
) -> Iterator[House]:
    """A house whose Milvus serves at `port`; `given`: more settings."""
    folder.mkdir()
    server = LiteServer(folder / "milvus", port)
    try:
        server.start()
        settings = Settings(
            **{"home": folder, "spark_driver_memory": "1g", "milvus_uri": f"http://127.0.0.1:{port}"} | given
        )
        lakehouse = House(settings, environment, source)
        try:
            yield lakehouse
        finally:
            lakehouse.stop()
    finally:
        server.stop()
