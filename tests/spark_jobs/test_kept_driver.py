"""The kept driver runs job after job; jobs of other tenants at the same time, and none for a client that left."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse import kept_driver as client
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import CHUNKS
from spark_jobs.kept_driver import driver_conf
from spark_jobs.runner.writer_lock import AnotherWriterError, only_writer

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(900)]
START_S = 400  # beside other work


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a home whose driver runs."""
    home = tmp_path_factory.mktemp("a" * 120)  # longer than a socket's path may be
    settings = Settings(home=home, spark_driver_memory="1g")
    environment = os.environ | {"LAKEHOP_HOME": str(home), "LAKEHOP_SPARK_DRIVER_MEMORY": "1g"}
    command = [sys.executable, "-m", "spark_jobs.kept_driver"]
    with (home / "log").open("wb") as log, subprocess.Popen(
        command, cwd=PROJECT_ROOT, env=environment, stdout=log, stderr=log
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + START_S
            while client.serves(settings):
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield settings
        finally:
            process.terminate()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "orion.md"
    path.write_text("# Orion\n\nOrion is the inference cluster. It runs 12 replicas in Frankfurt.\n")
    return path


def load(settings: Settings, tenant: str, path: Path, line: Callable[[str], None] = lambda line: None) -> int | None:
    steps = ["parse_documents", "chunk_documents"]
    return client.run_there(
        settings, [*steps, f"--run-id={tenant}-1", f"--tenant={tenant}", "--source=s", f"--path={path}"], line
    )


def test_a_job_writes_its_rows_and_its_log_goes_to_the_client(kept: Settings, document: Path) -> None:
    lines: list[str] = []

    assert load(kept, "acme", document, lines.append) == 0

    assert [row["doc_id"] for row in read_rows(kept, CHUNKS, [("tenant_id", "=", "acme")])] == ["orion.md"]
    assert any("chunk_documents: chunks_written=1" in line for line in lines)


def test_wrong_input_is_2_and_names_the_cause(kept: Settings, tmp_path: Path) -> None:
    lines: list[str] = []

    assert load(kept, "acme", tmp_path / "missing", lines.append) == 2
    assert "nothing is there" in lines[-1]


def test_a_job_waits_for_its_own_tenant_only(kept: Settings, document: Path) -> None:
    with only_writer(kept.home, "another job", "busy"):
        with pytest.raises(client.BusyError):
            load(kept, "busy", document)
        assert load(kept, "free", document) == 0


def test_a_client_that_leaves_stops_its_job(kept: Settings, tmp_path: Path) -> None:
    slow = tmp_path / "slow.jsonl"
    slow.write_text("".join(f'{{"id": "{n}", "text": "Line {n} of a long file."}}\n' for n in range(200_000)))
    arguments = ["parse_documents", "--run-id=left", "--tenant=left", "--source=s", f"--path={slow}"]
    with client.connected(kept) as driver:
        client.send(driver, {"fingerprint": client.fingerprint(kept), "arguments": arguments})
        while not is_held(kept.home, "left"):
            time.sleep(0.1)

    deadline = time.monotonic() + 30
    while is_held(kept.home, "left"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert read_rows(kept, CHUNKS, [("tenant_id", "=", "left")]) == []


def is_held(home: Path, tenant: str) -> bool:
    try:
        with only_writer(home, "a test", tenant, wait_s=0):
            return False
    except AnotherWriterError:
        return True


def test_without_a_driver_the_job_is_to_be_submitted(tmp_path: Path, document: Path) -> None:
    assert load(Settings(home=tmp_path), "acme", document) is None


@pytest.mark.parametrize(("master", "slots", "tasks"), [("local[2]", "local[4]", "2"), ("local", "local[2]", "1")])
def test_a_stage_leaves_half_of_the_slots_to_other_tenants(master: str, slots: str, tasks: str) -> None:
    conf = driver_conf(master)

    assert (conf["spark.master"], conf["spark.default.parallelism"]) == (slots, tasks)


def test_other_settings_are_refused_and_end_the_driver(kept: Settings, document: Path) -> None:
    lines: list[str] = []

    assert load(kept.model_copy(update={"chunk_max_tokens": 99}), "acme", document, lines.append) is None
    assert "other settings or older code" in lines[0]
    deadline = time.monotonic() + 10
    while "ended" not in client.serves(kept) and "refused" not in client.serves(kept):
        assert time.monotonic() < deadline
        time.sleep(0.1)
