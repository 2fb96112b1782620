"""A real local Airflow: its REST API, its DAGs, and its end."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from infra.clients.airflow import AirflowClient
from infra.stack.airflow import secrets_path
from infra.stack.lifecycle import Stack
from lakehouse.errors import InvalidInput, NotAuthenticated, NotFound, Unavailable
from lakehouse.settings import PROJECT_ROOT, Settings

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("airflow"),
        local_parts="airflow",
        spark_keep_driver=False,  # jobs are submitted, one at a time
        airflow_url=f"http://127.0.0.1:{free_port()}",
    )


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[Stack]:
    stack = Stack(settings, print)
    try:
        stack.ensure(["airflow"])
        stack.wait_for("airflow")
        yield stack
    finally:
        stack.down()
    assert _descendants(settings.home) == []


@pytest.fixture
def api(stack: Stack, settings: Settings) -> Iterator[httpx.Client]:
    """A client of Airflow's REST API with its own token."""
    password = json.loads(secrets_path(settings).read_text())["password"]
    login = {"username": settings.airflow_user, "password": password}
    token = httpx.post(f"{settings.airflow_url}/auth/token", json=login, timeout=30).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"{settings.airflow_url}/api/v2", headers=headers, timeout=30) as client:
        yield client


def test_every_dag_is_listed_unpaused_and_without_import_errors(api: httpx.Client) -> None:
    files = set(re.findall(r'^with DAG\(\s*"(\w+)"', _text_of_dags(), re.MULTILINE))
    deadline = time.monotonic() + 60
    while api.get("/dags").json()["total_entries"] < len(files) and time.monotonic() < deadline:
        time.sleep(0.5)  # the DAG processor is healthy before it has read the files

    dags = {dag["dag_id"]: dag["is_paused"] for dag in api.get("/dags").json()["dags"]}
    assert {"ingest", "load_costs"} <= files
    assert dags == dict.fromkeys(files, False)
    assert api.get("/importErrors").json()["total_entries"] == 0
    assert api.get("/dags/maintenance/dagRuns").json()["total_entries"] == 0  # a new stack has nothing to compact


def test_the_pools_have_one_slot_and_every_task_runs_in_one_that_exists(api: httpx.Client) -> None:
    slots = {pool["name"]: pool["slots"] for pool in api.get("/pools").json()["pools"]}

    assert slots["lakehouse_writer"] == slots["model_caller"] == 1
    tasks = [task for dag in api.get("/dags").json()["dags"] for task in _tasks(api, dag["dag_id"])]
    assert {task["pool"] for task in tasks} <= set(slots)


def test_an_airflow_without_the_pool_is_told_how_to_create_it(
    stack: Stack, settings: Settings, api: httpx.Client
) -> None:
    pool = api.get("/pools/lakehouse_writer").json()
    api.delete("/pools/lakehouse_writer").raise_for_status()
    try:
        with pytest.raises(NotFound, match="airflow pools set lakehouse_writer 1"):
            AirflowClient(settings).trigger("ingest", "no-pool", {})
    finally:
        api.post("/pools", json={k: pool[k] for k in ("name", "slots", "description")}).raise_for_status()


def test_a_wrong_path_fails_in_one_try_and_says_so(stack: Stack, settings: Settings, api: httpx.Client) -> None:
    client = AirflowClient(settings)
    client.trigger("ingest", "wrong-path", {"path": ["/no/such/folder"], "tenant": "acme", "source": "s"})

    run = client.wait("ingest", "wrong-path", timeout_s=180)

    assert (run.state, run.failed_tasks) == ("failed", ("load_documents",))
    message = client.failure(run)
    assert "failed after 1 try" in message
    assert "path '/no/such/folder': nothing is there." in message
    logs = api.get("/dags/ingest/dagRuns/wrong-path/taskInstances/load_documents/logs/1").text
    assert "Lakehop: ingest.load_documents failed after 1 try, run 'wrong-path'" in logs
    assert "tenant='acme' source='s' path='/no/such/folder'" in logs


def test_two_ingests_of_one_source_at_once_run_one_after_the_other(
    stack: Stack, settings: Settings, api: httpx.Client
) -> None:
    client = AirflowClient(settings)
    for run in ("first", "second"):  # both end soon, for nothing is there
        client.trigger("ingest", run, {"path": [f"/no/{run}"], "tenant": "acme", "source": "s"})

    for run in ("first", "second"):
        assert client.wait("ingest", run, timeout_s=240).failed_tasks == ("load_documents",)

    task = "/dags/ingest/dagRuns/{}/taskInstances/load_documents"
    first, second = (api.get(task.format(run)).json() for run in ("first", "second"))
    assert first["pool"] == second["pool"] == "lakehouse_writer"
    assert first["start_date"] < first["end_date"] <= second["start_date"] < second["end_date"]


def test_the_page_of_a_task_leads_to_what_the_run_did(
    stack: Stack, settings: Settings, api: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "plan.md").write_text("# Plan\n\nOrion starts in May.\n")
    run = {"path": [str(tmp_path)], "tenant": "acme", "source": "s"}
    task = "/dags/ingest/dagRuns/numbers/taskInstances/load_documents"
    AirflowClient(settings).trigger("ingest", "numbers", run)
    deadline = time.monotonic() + 180
    while api.get(task).json()["state"] not in ("success", "failed") and time.monotonic() < deadline:
        time.sleep(0.5)
    api.patch("/dags/ingest/dagRuns/numbers", json={"state": "failed"})  # no Milvus runs here to index into

    numbers = api.get(f"{task}/xcomEntries/numbers?deserialize=true").json()["value"]
    assert numbers["parse_documents"]["documents_added"] == 1
    assert numbers["chunk_documents"]["chunks_written"] == 1
    assert api.get(f"{task}/links").json()["extra_links"] == {
        "What this run did": f"{settings.airflow_url}/dags/ingest/runs/numbers/tasks/load_documents/xcom"
    }


def test_the_form_of_ingest_shows_its_doc_and_the_schema_of_each_parameter(api: httpx.Client) -> None:
    ingest = api.get("/dags/ingest/details").json()

    assert ingest["doc_md"].startswith("Take documents from files")
    assert {name: param["schema"]["type"] for name, param in ingest["params"].items()} == {
        "path": "array", "tenant": "string", "groups": ["array", "string"], "source": "string", "snapshot": "boolean",
        "allow_deleting": "boolean", "replay": "array",
    }  # fmt: skip
    assert all(param["description"] for param in ingest["params"].values())


def test_a_refused_parameter_is_our_error_and_starts_no_run(
    stack: Stack, settings: Settings, api: httpx.Client
) -> None:
    client = AirflowClient(settings)

    with pytest.raises(InvalidInput, match="a b"):
        client.trigger("ingest", "refused", {"path": ["/data"], "tenant": "a b", "source": "s"})

    assert api.get("/dags/ingest/dagRuns/refused").status_code == 404


def test_a_wrong_password_names_the_settings_to_correct(stack: Stack, settings: Settings) -> None:
    wrong = Settings(**settings.model_dump() | {"airflow_password": "guess"})

    with pytest.raises(NotAuthenticated, match="LAKEHOP_AIRFLOW_PASSWORD"):
        AirflowClient(wrong).trigger("ingest", "run", {})


def test_a_run_that_takes_too_long_is_left_running_and_its_page_is_named(
    stack: Stack, settings: Settings, api: httpx.Client
) -> None:
    api.patch("/dags/ingest", json={"is_paused": True})  # so that the run stays queued and no Spark job starts
    client = AirflowClient(settings)
    client.trigger("ingest", "waits", {"path": ["/data"], "tenant": "acme", "source": "s"})

    with pytest.raises(Unavailable, match=f"{settings.airflow_url}/dags/ingest/runs/waits"):
        client.wait("ingest", "waits", timeout_s=0.1)

    assert api.get("/dags/ingest/dagRuns/waits").json()["state"] == "queued"
    assert api.get("/dags/ingest/dagRuns/waits").json()["conf"]["tenant"] == "acme"


def test_it_listens_on_loopback_alone_and_keeps_its_secrets_to_its_owner(stack: Stack, settings: Settings) -> None:
    listening = set()
    for process in _descendants(settings.home):
        with suppress(psutil.NoSuchProcess):  # tasks come and go
            listening |= {one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
    assert secrets_path(settings).stat().st_mode & 0o777 == 0o600
    assert (settings.home / "airflow" / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_it_fits_a_laptop(stack: Stack) -> None:
    (airflow,) = (part for part in stack.status() if part.name == "airflow")

    assert airflow.state == "healthy"
    assert airflow.rss_mb < 2_000


def test_a_scheduler_that_was_killed_is_told_and_comes_back(stack: Stack) -> None:
    (before,) = (part for part in stack.status() if part.name == "airflow")
    scheduler = next(pid for pid in before.pids if "scheduler" in " ".join(psutil.Process(pid).cmdline()))
    psutil.Process(scheduler).kill()

    (killed,) = (part for part in stack.status() if part.name == "airflow")
    assert killed.reason == "not running: airflow-scheduler; `lakehop up` restarts it"

    stack.ensure(["airflow"])
    stack.wait_for("airflow")
    (after,) = (part for part in stack.status() if part.name == "airflow")
    assert after.state == "healthy"
    assert len(set(after.pids) & set(before.pids)) == 2


def _text_of_dags() -> str:
    return "\n".join(path.read_text() for path in (PROJECT_ROOT / "dags").glob("*.py"))


def _tasks(api: httpx.Client, dag_id: str) -> list[dict[str, str]]:
    tasks: list[dict[str, str]] = api.get(f"/dags/{dag_id}/tasks").json()["tasks"]
    return tasks


def _descendants(home: Path) -> list[psutil.Process]:
    """Every process whose settings name this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("LAKEHOP_HOME") == str(home):
                found.append(process)
        except psutil.Error:
            continue
    return found
