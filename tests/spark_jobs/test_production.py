"""As in production: jobs on a cluster, documents and tables in buckets, and what may die does die.

Each of these alone, and at more moments, is tested by the other files that `make test-long` runs; all of them together
is what `make test-production` shows, in minutes.
"""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.tables import CHUNKS
from tests.spark_jobs.house import BUILD, LOAD, assert_same, house
from tests.spark_jobs.sources.minio_server import served
from tests.spark_jobs.standalone_cluster import HOSTS, started

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(2400)]


def documents() -> dict[str, bytes]:
    """By name: documents that link to one another, one to be converted, and one that can't be read."""
    plans = {
        f"plan-{n}.md": f"# Plan {n}\n\nProject {n} builds part {n}, after [the next](plan-{n + 1}.md).\n" * 6
        for n in range(40)
    }
    page = "<title>Page</title><h1>Page</h1><p>See <a href='plan-3.md'>it</a>."
    return {name: text.encode() for name, text in (plans | {"page.html": page}).items()} | {
        "broken.md": "café, na".encode() + b"\xc3"
    }


def test_a_cluster_on_buckets_that_loses_an_executor_and_a_job_leaves_what_one_machine_leaves(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for name, content in documents().items():
        (folder / name).write_bytes(content)
    with house(tmp_path / "machine", free_port(), source=str(folder)) as machine:
        machine.run((*LOAD, *BUILD), folder, "day1")
        wanted = machine.contents()
    assert len(wanted["milvus"]) == len(wanted[CHUNKS.name]) >= 40

    bucket, places = "s3a://documents/plans", (tmp_path / "cluster", tmp_path / "minio")
    for place in places:
        place.mkdir()
    with started(places[0], free_port()) as cluster, served(places[1], free_port(), free_port()) as minio:
        for name in ("documents", "lake"):
            minio.files.create_dir(name)
        for name, content in documents().items():
            minio.write(f"documents/plans/{name}", content)
        given = cluster.settings() | minio.settings() | {"warehouse": "s3a://lake/warehouse"}
        with house(tmp_path / "house", free_port(), cluster.environment, source=bucket, **given) as lake:
            job = lake.start(LOAD, bucket, "day1")
            cluster.kill_an_executor(HOSTS[0], job, after_tasks=20)
            lake.await_success(job)

            job, after = lake.start(BUILD, bucket, "day1"), random.randint(1, 12)  # noqa: S311  any moment will do
            cluster.await_tasks(after, job)
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            lake.run(BUILD, bucket, "day1")
            found = lake.contents()
        print(f"killed an executor, and the job that builds the index after {after} of its tasks")
    assert_same(found, wanted, "kills on a cluster and buckets")
