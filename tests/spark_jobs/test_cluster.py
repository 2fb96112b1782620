"""The same jobs on a Spark standalone cluster, whose executors are lost, and of whose stages one has GPUs.

`make test-long` runs this.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse.settings import PROJECT_ROOT
from lakehouse.tables import CHUNKS
from tests.spark_jobs.house import BUILD, LOAD, House, assert_same, house
from tests.spark_jobs.standalone_cluster import HOSTS, Cluster, started

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Cluster]:
    with started(tmp_path_factory.mktemp("cluster"), free_port()) as running:
        yield running


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


def test_a_cluster_that_loses_executors_leaves_what_one_machine_leaves(
    cluster: Cluster, documents: Path, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    with house(tmp_path / "machine", free_port()) as machine:
        machine.run((*LOAD, *BUILD), documents, run_id="day1")
        wanted = machine.contents()
    assert len(wanted["milvus"]) == len(wanted[CHUNKS.name]) > 64

    with house(tmp_path / "cluster", free_port(), cluster.environment, **cluster.settings()) as clustered:
        for steps, host in ((LOAD, HOSTS[0]), (BUILD, HOSTS[1])):
            job = clustered.start(steps, documents, run_id="day1")
            cluster.kill_an_executor(host, job, after_tasks=20)
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
