"""The command line's HTTP client against a small real server: its requests, and its errors for refusals."""

import json
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from infra.cli.main import main
from infra.clients.gateway import GatewayClient
from infra.stack.secret_files import write_secret
from lakehouse.errors import BudgetExceeded, InvalidInput, LakehopError, NotFound, Unavailable
from lakehouse.settings import Settings


class Gateway(HTTPServer):
    """Answers every request with `status` and `body`, and records the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, str | None, Any]] = []

    def answer(self, status: int, document: Any) -> None:
        self.status, self.body = status, json.dumps(document).encode()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        gateway = self.server
        assert isinstance(gateway, Gateway)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        gateway.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(gateway.status)
        self.end_headers()
        self.wfile.write(gateway.body)

    def do_GET(self) -> None:
        gateway = self.server
        assert isinstance(gateway, Gateway)
        gateway.asked.append((self.path, self.headers["Authorization"], None))
        self.send_response(gateway.status)
        self.end_headers()
        self.wfile.write(gateway.body)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def client(gateway: Gateway, home: Path) -> GatewayClient:
    write_secret(home / "operator.key", "lh_operator\n")
    return GatewayClient(Settings(home=home, gateway_url=f"http://127.0.0.1:{gateway.server_port}"))


def test_a_question_goes_out_with_the_operator_key_and_only_what_was_given(
    gateway: Gateway, client: GatewayClient
) -> None:
    gateway.answer(200, {"answer": "8"})

    answer = client.ask("How many?", "acme", ['a"b', "c"], program=None, max_usd=Decimal("0.05"), max_seconds=None)

    assert answer == {"answer": "8"}
    body = {"question": "How many?", "tenant": "acme", "groups": ['a"b', "c"], "max_usd": "0.05"}
    assert gateway.asked == [("/ask", "Bearer lh_operator", body)]


def test_the_command_names_the_user_and_what_of_the_memory_is_wanted(
    gateway: Gateway, client: GatewayClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOP_HOME", str(home))
    monkeypatch.setenv("LAKEHOP_GATEWAY_URL", f"http://127.0.0.1:{gateway.server_port}")
    gateway.answer(200, {"answer": "8"})

    result = CliRunner().invoke(main, ["ask", "Why?", "--tenant", "acme", "--user", "ann", "--memory", "--json"])

    assert json.loads(result.output) == {"answer": "8"}
    assert gateway.asked[0][2] == {"question": "Why?", "tenant": "acme", "groups": [], "user": "ann", "memory": True}


def test_a_style_goes_out_and_a_wrong_one_names_the_others(
    gateway: Gateway, client: GatewayClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOP_HOME", str(home))
    monkeypatch.setenv("LAKEHOP_GATEWAY_URL", f"http://127.0.0.1:{gateway.server_port}")
    command = ["ask", "Why?", "--tenant", "acme", "--json", "--style"]

    CliRunner().invoke(main, [*command, "steps"])
    refused = CliRunner().invoke(main, [*command, "essay"])

    assert gateway.asked[0][2] == {"question": "Why?", "tenant": "acme", "groups": [], "style": "steps"}
    assert (len(gateway.asked), refused.exit_code) == (1, 2)
    assert "'fact', 'yes_no', 'number', 'list', 'steps', 'explanation', 'comparison'" in refused.output


def test_a_passage_is_asked_for_by_its_encoded_id(
    gateway: Gateway, client: GatewayClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOP_HOME", str(home))
    monkeypatch.setenv("LAKEHOP_GATEWAY_URL", f"http://127.0.0.1:{gateway.server_port}")
    gateway.answer(200, {"chunk_id": "a/b#c"})
    options = ["--tenant", "acme", "--groups", "hr,staff", "--around", "0", "--json"]

    result = CliRunner().invoke(main, ["passage", "a/b#c", *options])

    assert json.loads(result.output) == {"chunk_id": "a/b#c"}
    path = "/passages/a%2Fb%23c?tenant=acme&groups=hr&groups=staff&around=0"
    assert gateway.asked == [(path, "Bearer lh_operator", None)]


@pytest.mark.parametrize("command", ["search", "ask"])
def test_the_command_narrows_the_documents_by_its_options(
    gateway: Gateway, client: GatewayClient, home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("LAKEHOP_HOME", str(home))
    monkeypatch.setenv("LAKEHOP_GATEWAY_URL", f"http://127.0.0.1:{gateway.server_port}")
    gateway.answer(200, {"results": []})
    options = ["--type", "pdf", "--type", "md", "--author", "Ida, Max", "--path", "hr/"]
    options += ["--updated-after", "2026-05-01"]

    CliRunner().invoke(main, [command, "Why?", "--tenant", "acme", "--json", *options])
    CliRunner().invoke(main, [command, "Why?", "--tenant", "acme", "--json"])

    narrowed, everything = (body for _, _, body in gateway.asked)
    assert narrowed["filters"] == {
        "document_type": ["pdf", "md"],
        "author": ["Ida, Max"],
        "path": "hr/",
        "updated_after": "2026-05-01",
    }
    assert "filters" not in everything


@pytest.mark.parametrize(
    ("status", "problem", "error"),
    [
        (400, {"detail": "k=80: must be 1 to 50."}, InvalidInput("k=80: must be 1 to 50.")),
        (402, {"detail": "cap reached"}, BudgetExceeded("cap reached")),
        (404, {"detail": "no tenant 'x'"}, NotFound("no tenant 'x'")),
        (503, {"detail": "milvus is down", "part": "milvus"}, Unavailable("milvus", "milvus is down")),
        (500, {"title": "Internal", "id": "7"}, LakehopError("Internal")),
    ],
)
def test_a_problem_document_becomes_our_error(
    gateway: Gateway, client: GatewayClient, status: int, problem: dict[str, str], error: LakehopError
) -> None:
    gateway.answer(status, problem)

    with pytest.raises(LakehopError) as caught:
        client.search("q", "acme", [], 5, "hybrid")

    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


def test_an_answer_that_is_no_json_is_told_and_does_not_break(gateway: Gateway, client: GatewayClient) -> None:
    gateway.status, gateway.body = 502, b"<html>Bad gateway</html>"

    with pytest.raises(LakehopError, match="Bad gateway"):
        client.search("q", "acme", [], 5, "hybrid")


def test_a_gateway_that_is_down_is_named(home: Path, free_port: Any) -> None:
    write_secret(home / "operator.key", "lh_operator\n")
    client = GatewayClient(Settings(home=home, gateway_url=f"http://127.0.0.1:{free_port()}"))

    with pytest.raises(Unavailable, match="lakehop up") as caught:
        client.search("q", "acme", [], 5, "hybrid")

    assert caught.value.part == "gateway"
