"""A real gateway process (`bentoml serve`) while Milvus and the model are down."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from lakehouse.access.ledger import Ledger
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.storage.database import Database

START_S = 180  # importing torch and dspy takes 10 s, on a busy machine minutes
pytestmark = pytest.mark.integration


@dataclass
class Served:
    """A running `bentoml serve`."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    http: httpx.Client
    log: Path

    def family(self) -> list[psutil.Process]:
        """The supervisor and its worker."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def stop(self) -> None:
        """TERM to the supervisor, which stops its worker; see docs/operations."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def serve(home: Path, port: int, **settings: str) -> Served:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAKEHOP_")}
    environment |= {"LAKEHOP_HOME": str(home), "BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"}
    bentoml = str(Path(sys.executable).parent / "bentoml")
    command = [bentoml, "serve", "serving.gateway:Gateway", "--host", "127.0.0.1", "--port", str(port)]
    log = home / "gateway.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--timeout-graceful-shutdown", "5"],
            cwd=PROJECT_ROOT,
            env=environment | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Served(process, port, home, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60), log)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Served]:
    nothing = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    home = tmp_path_factory.mktemp("gateway")
    servers = home / "mcp.json"
    servers.write_text('{"mcpServers": {"down": {"command": "/no/such/program", "allow": {"acme": ["staff"]}}}}')
    served = serve(
        home,
        free_port(),
        LAKEHOP_MCP_SERVERS_FILE=str(servers),
        LAKEHOP_MILVUS_URI=nothing[0],
        LAKEHOP_LLM_BASE_URL=f"{nothing[1]}/v1",
        LAKEHOP_MILVUS_TIMEOUT_S="3",
    )
    deadline = time.monotonic() + START_S
    while True:
        try:
            served.http.get("/healthz", timeout=5).raise_for_status()
            break
        except httpx.HTTPError:
            if served.process.poll() is not None or time.monotonic() > deadline:
                served.process.kill()
                pytest.fail(served.log.read_text())
            time.sleep(0.2)
    family = served.family()
    yield served
    if served.process.poll() is None:
        served.stop()
    for process in family:
        if process.is_running():
            process.kill()


@pytest.fixture(scope="module")
def key(served: Served) -> dict[str, str]:
    database = Database.open(Settings(home=served.home))
    _, secret = Ledger(database).create_key("acme", ["staff"], "wiki", None)
    database.close()
    return {"Authorization": f"Bearer {secret}"}


def test_it_is_alive_and_says_which_parts_are_down(served):
    health, ready = served.http.get("/healthz"), served.http.get("/readyz")

    assert health.status_code == 200
    assert (ready.status_code, ready.headers["content-type"]) == (503, "application/problem+json")
    assert ready.json()["part"] == "milvus,vllm"


def test_a_task_that_is_handed_in_is_kept_and_ends(served, key):
    taken = served.http.post("/tasks", json={"question": "Who?"}, headers=key)
    assert taken.status_code == 202
    deadline = time.monotonic() + 60
    while (task := served.http.get(taken.headers["location"], headers=key).json())["status"] != "failed":
        assert time.monotonic() < deadline, task
        time.sleep(0.2)

    assert (task["problem"]["status"], task["problem"]["part"]) == (503, "milvus")
    assert (served.home / "lakehop.sqlite").exists()


def test_an_mcp_server_that_is_down_is_in_the_log_and_stops_nothing(served):
    assert "MCP server 'down': FileNotFoundError" in served.log.read_text()


def test_it_listens_on_loopback_only(served):
    listening = {
        connection.laddr.ip
        for process in served.family()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("path", ["/ask", "/search", "/usage", "/metrics", "/nowhere", "/schema.json", "/docs.json"])
def test_without_a_key_there_is_nothing_but_problems(served, path):
    response = served.http.request("POST" if path in ("/ask", "/search") else "GET", path, json={"question": "x"})

    assert response.status_code in (401, 404)
    assert response.headers["content-type"] == "application/problem+json"


def test_a_key_that_another_process_made_opens_at_once_and_closes_at_once(served):
    database = Database.open(Settings(home=served.home))
    ledger = Ledger(database)
    key_id, secret = ledger.create_key("acme", ["staff"], "wiki", None)
    headers = {"Authorization": f"Bearer {secret}"}
    opened = served.http.get("/usage", headers=headers).status_code
    ledger.revoke(key_id)
    closed = served.http.get("/usage", headers=headers).status_code
    database.close()

    assert (opened, closed) == (200, 401)


@pytest.mark.parametrize("path", ["/ask", "/search", "/ask/stream"])
def test_a_question_without_milvus_is_a_503_that_names_it_in_time(served, key, path):
    started = time.monotonic()
    response = served.http.post(path, json={"question": "What is Orion?"}, headers=key)

    if path == "/ask/stream" and response.status_code == 200:  # the stream had begun
        assert '"part":"milvus"' in response.text
    else:
        assert (response.status_code, response.json()["part"]) == (503, "milvus")
    assert time.monotonic() - started < 15


def test_a_question_that_fails_costs_and_holds_nothing(served, key):
    served.http.post("/ask", json={"question": "What is Orion?"}, headers=key)
    usage = served.http.get("/usage", headers=key).json()

    assert (usage["spent_usd"], usage["reserved_usd"]) == ("0.0000000000", "0.0000000000")


def test_console_and_docs_are_there(served):
    assert "Ask your documents" in served.http.get("/").text
    assert "swagger-ui-bundle.js" in served.http.get("/docs").text


def test_stopping_it_leaves_no_process_and_no_port(served):
    family = served.family()
    served.stop()

    assert len(family) >= 2
    assert [process for process in family if process.is_running()] == []
    with pytest.raises(httpx.ConnectError):
        served.http.get("/healthz")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "LAKEHOP_TASK_MAX_SECONDS",
            "901",
            "LAKEHOP_TASK_MAX_SECONDS='901': Input should be less than or equal to 900",
        ),
        ("LAKEHOP_LLM_MODEL", "no-such-model", "no-such-model"),
        ("LAKEHOP_EMBEDDING_MODEL", "no-such-folder", "a folder that holds a sentence-transformers model"),
        ("LAKEHOP_MCP_SERVERS_FILE", "no-such.json", "Name a readable file, or leave it empty."),
        ("LAKEHOP_DATABASE_URL", "mysql://me@host/tasks", "driver 'mysql': must be one of postgresql+psycopg, sqlite"),
        ("LAKEHOP_PROGRAMM", "multihop", "did you mean LAKEHOP_PROGRAM?"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_message(tmp_path, free_port, name, value, says):
    served = serve(tmp_path, free_port(), **{name: value})

    assert served.process.wait(60) == 1
    log = served.log.read_text()
    assert says in log
    assert "Traceback" not in log
