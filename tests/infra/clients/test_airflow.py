"""The client against a busy Airflow; tests/infra/stack/test_airflow.py has a real one."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import infra.clients.airflow
from infra.clients.airflow import AirflowClient
from lakehouse.errors import LakehopError, Unavailable
from lakehouse.settings import Settings

LOCKED = httpx.Response(500, json={"detail": "database is locked"})
EXISTS = httpx.Response(409, json={"detail": "there is a run of that id"})
DONE = httpx.Response(200, json={})
Answer = httpx.Response | Exception


@pytest.fixture
def client(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AirflowClient]:
    """A client whose trigger calls get these responses in turn."""
    monkeypatch.setattr(infra.clients.airflow, "POLL_S", 0.0)

    def answering(*answers: Answer) -> AirflowClient:
        left = list(answers)

        def handle(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/auth/token":
                return httpx.Response(201, json={"access_token": "t"})
            answer = DONE if request.method == "GET" else left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        client = AirflowClient(Settings(home=home, airflow_password="secret"))
        client._http = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(handle))
        return client

    return answering


@pytest.mark.parametrize(
    "answers",
    [
        (LOCKED, DONE),
        (httpx.ReadTimeout("timed out"), DONE),
        (httpx.ReadTimeout("timed out"), EXISTS),
        (LOCKED, EXISTS),
    ],
    ids=["locked, then done", "late, then done", "late, but done", "locked, but done"],
)
def test_a_busy_airflow_is_asked_again_for_the_same_run(
    client: Callable[..., AirflowClient], answers: tuple[Answer, ...]
) -> None:
    client(*answers).trigger("ingest", "run", {})


def test_a_run_that_was_there_before_is_no_run_of_ours(client: Callable[..., AirflowClient]) -> None:
    with pytest.raises(LakehopError, match="409"):
        client(EXISTS).trigger("ingest", "run", {})


def test_an_airflow_that_is_down_is_not_waited_for(client: Callable[..., AirflowClient]) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        client(httpx.ConnectError("refused")).trigger("ingest", "run", {})


def test_an_airflow_that_stays_busy_is_given_up(
    client: Callable[..., AirflowClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.clients.airflow, "TRIGGER_S", 0.0)
    with pytest.raises(Unavailable, match="database is locked"):
        client(LOCKED, LOCKED).trigger("ingest", "run", {})


def test_a_run_is_followed_while_airflow_is_too_busy_to_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infra.clients.airflow, "POLL_S", 0.0)
    states: list[Answer] = [
        httpx.ReadTimeout("timed out"),
        httpx.Response(200, json={"state": "running"}),
        LOCKED,
        httpx.Response(200, json={"state": "success"}),
    ]

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        if request.url.path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": []})
        answer = states.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = AirflowClient(Settings(home=home, airflow_password="secret"))
    client._http = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(handle))

    assert client.wait("ingest", "run", timeout_s=30).state == "success"
    assert states == []
