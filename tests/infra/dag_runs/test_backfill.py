"""A dated feed fetched again by `airflow backfill create`, through a real scheduler, Spark, Delta and Milvus."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from infra.clients.airflow import AirflowClient
from infra.stack.airflow import LocalAirflow
from infra.stack.lifecycle import Stack
from infra.stack.processes import program
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import CHUNKS, INGEST_RUNS

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(1800)]

DATES = ("2026-11-01", "2026-11-02")  # each is two Spark submits
FEED = """
[feeds.wiki]
path = ["{exports}/dt={{{{ ds }}}}.jsonl"]
tenant = "acme"
schedule = "@daily"
start_date = 2026-11-01
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int], postgres: str) -> Settings:
    home = tmp_path_factory.mktemp("backfill")
    for date in DATES:  # one page that changes every day, and one of that day alone
        rows = [{"id": "plan", "title": "Plan", "text": f"As of {date}."}, {"id": date, "title": "Day", "text": date}]
        (home / f"dt={date}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (home / "feeds.toml").write_text(FEED.format(exports=home))
    return Settings(
        home=home,
        local_parts="milvus,airflow",
        milvus_uri=f"http://127.0.0.1:{free_port()}",
        airflow_url=f"http://127.0.0.1:{free_port()}",
        airflow_database=postgres,  # SQLite refuses a second writer, and this command is one beside the scheduler
        feeds_file=str(home / "feeds.toml"),
        spark_driver_memory="1g",
    )


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[Stack]:
    stack = Stack(settings, print)
    try:
        stack.ensure(["milvus", "airflow"])
        for part in ("milvus", "airflow"):
            stack.wait_for(part)
        yield stack
    finally:
        stack.down()


def test_each_date_is_a_run_of_its_own_path_and_the_newest_wins(stack: Stack, settings: Settings) -> None:
    client = AirflowClient(settings)
    deadline = time.monotonic() + 90
    while "ingest_wiki" not in _dags(client) and time.monotonic() < deadline:
        time.sleep(0.5)
    command = [program("airflow"), "backfill", "create", "--dag-id", "ingest_wiki", "--max-active-runs", "1"]
    command += ["--from-date", DATES[0], "--to-date", DATES[-1]]

    subprocess.run(command, env=LocalAirflow(settings).environment, cwd=PROJECT_ROOT, check=True)

    runs = [run for run in _runs(client) if run["run_type"] == "backfill"]
    assert sorted(run["logical_date"][:10] for run in runs) == list(DATES)
    for run in sorted(runs, key=lambda run: run["logical_date"]):
        done = client.wait("ingest_wiki", run["dag_run_id"], timeout_s=600)
        assert done.state == "success", client.failure(done)
    steps = read_rows(settings, INGEST_RUNS, [("step", "=", "parse_documents")])
    assert {row["run_id"]: row["documents_seen"] for row in steps} == {run["dag_run_id"]: 2 for run in runs}
    assert sorted(row["text"] for row in read_rows(settings, CHUNKS)) == sorted([*DATES, f"As of {DATES[-1]}."])


def _dags(client: AirflowClient) -> set[str]:
    return {dag["dag_id"] for dag in client._call("GET", "/dags")["dags"]}


def _runs(client: AirflowClient) -> list[dict[str, str]]:
    runs: list[dict[str, str]] = client._call("GET", "/dags/ingest_wiki/dagRuns")["dag_runs"]
    return runs
