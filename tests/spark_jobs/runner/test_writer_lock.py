"""Two jobs that somebody submits at once never interleave: the second waits a moment, then it is refused."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.errors import StreamingQueryException

from lakehouse.errors import LakehopError
from lakehouse.kept_driver import BUSY
from lakehouse.settings import PROJECT_ROOT
from spark_jobs import main as job
from spark_jobs.runner.writer_lock import only_writer

HOLDING = """
import sys, time
from pathlib import Path
from spark_jobs.runner.writer_lock import only_writer
with only_writer(Path(sys.argv[1]), "parse_documents of run r1"):
    print("held", flush=True)
    time.sleep(600)
"""
JOB = ["parse_documents", "--run-id=r2", "--tenant=acme", "--source=wiki", "--path=/data"]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another job at work, in a process of its own."""
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_job_is_refused_before_it_touches_anything(
    holder: "subprocess.Popen[bytes]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAKEHOP_HOME", str(tmp_path))
    monkeypatch.setattr(job, "WAIT_S", 0.3)

    assert job.main(JOB) == BUSY  # which Airflow takes for "ask again", not for a failed try

    assert f"another job is writing: parse_documents of run r1, process {holder.pid}. Nothing was done" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["writer.lock"]  # no table, no Spark


def test_a_job_that_is_killed_leaves_the_way_free_at_once(holder: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    with pytest.raises(LakehopError, match="r1"), only_writer(tmp_path, "r2", "acme", wait_s=0):
        pass
    holder.kill()
    begun = time.monotonic()

    with only_writer(tmp_path, "r2"):
        assert time.monotonic() - begun < 10
    with only_writer(tmp_path, "r3", wait_s=0):
        assert (tmp_path / "writer.lock").read_text().startswith("r3, ")


def test_jobs_of_two_tenants_write_at_the_same_time_and_a_job_of_all_waits_for_both(tmp_path: Path) -> None:
    with only_writer(tmp_path, "r1", "acme"), only_writer(tmp_path, "r2", "globex", wait_s=0):
        with pytest.raises(LakehopError, match="r1, process"), only_writer(tmp_path, "r3", "acme", wait_s=0):
            pass
        with pytest.raises(LakehopError, match=r"r1.*r2|r2.*r1"), only_writer(tmp_path, "maintain", wait_s=0):
            pass
    with only_writer(tmp_path, "maintain", wait_s=0):
        pass


@pytest.mark.parametrize(
    "told",
    [
        "[DELTA_CONCURRENT_APPEND] ConcurrentAppendException: Files were added to partition [tenant_id=acme] by a "
        "concurrent update. Please try the operation again.",
        "[CONCURRENT_STREAM_LOG_UPDATE] Concurrent update to the log. Multiple streaming jobs detected for 7.",
    ],
)
def test_jobs_of_two_machines_that_meet_in_delta_are_told_what_happened(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def meet(*_: object) -> None:
        raise StreamingQueryException(told)

    monkeypatch.setenv("LAKEHOP_HOME", str(tmp_path))
    monkeypatch.setattr(job, "ensure_tables", meet)

    assert job.main(JOB) == 1
    assert "another job wrote at the same time, so this one wrote nothing more." in caplog.text
