"""Starting and stopping parts: small real web servers stand for the heavy ones."""

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

import infra.stack.lifecycle
from infra.stack.lifecycle import Stack, visible_settings
from infra.stack.parts import StackPart, _check_http, local_part_names, stack_parts, thrift_part
from infra.stack.processes import Process, Supervisor, child_environment
from infra.stack.secret_files import ensure_operator_key, operator_key
from lakehouse.access.ledger import Ledger
from lakehouse.errors import InvalidInput, NotAuthenticated, Unavailable
from lakehouse.settings import Settings
from lakehouse.spark_conf import spark_conf
from lakehouse.storage.database import Database

SERVER = "from http.server import *; HTTPServer(('127.0.0.1', {port}), SimpleHTTPRequestHandler).serve_forever()"


def web_part(settings: Settings, name: str, port: int, code: str = SERVER) -> StackPart:
    """A part that is one small web server."""
    url = f"http://127.0.0.1:{port}"
    process = Process(
        name,
        (sys.executable, "-c", code.format(port=port)),
        child_environment(settings),
        settings.home,
        port,
        "LAKEHOP_X",
    )
    return StackPart(name, url, "LAKEHOP_X", 20, lambda: _check_http(url), lambda: [process])


class Lines(list[str]):
    """The lines that a waiting user saw."""

    def __call__(self, line: str) -> None:
        self.append(line)


@pytest.fixture
def build(home: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stack]:
    """Make a stack of web parts; `local` says which of them run here, `codes` replaces the server's code."""

    def make(*names: str, local: str | None = None, codes: dict[str, str] | None = None, report: Lines) -> Stack:
        settings = Settings(home=home)
        parts = {name: web_part(settings, name, free_port(), (codes or {}).get(name, SERVER)) for name in names}
        monkeypatch.setattr(infra.stack.lifecycle, "stack_parts", lambda _: parts)
        monkeypatch.setattr(infra.stack.lifecycle, "local_part_names", lambda _: (local or ",".join(names)).split(","))
        return Stack(settings, report)

    return make


def states(stack: Stack) -> dict[str, str]:
    return {part.name: part.state for part in stack.status()}


def test_up_starts_every_part_reports_it_and_down_leaves_nothing(build: Callable[..., Stack]) -> None:
    lines = Lines()
    stack = build("one", "two", report=lines)
    assert states(stack) == {"one": "stopped", "two": "stopped"}

    stack.ensure()
    stack.wait_for()

    assert sorted(line.split(" at ")[0] for line in lines) == [
        "one: serving", "one: starting", "two: serving", "two: starting",
    ]  # fmt: skip
    assert states(stack) == {"one": "healthy", "two": "healthy"}
    pids = [pid for part in stack.status() for pid in part.pids]
    assert stack.down() == ["one", "two"]
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert stack.down() == []


def test_a_second_up_reuses_what_runs_and_restarts_what_died(build: Callable[..., Stack]) -> None:
    stack = build("one", "two", report=Lines())
    stack.ensure()
    stack.wait_for()
    before = {part.name: part.pids for part in stack.status()}
    psutil.Process(before["two"][0]).kill()
    psutil.wait_procs([psutil.Process(pid) for pid in before["two"] if psutil.pid_exists(pid)], timeout=5)
    assert states(stack) == {"one": "healthy", "two": "stopped"}

    stack.ensure()
    stack.wait_for()

    after = {part.name: part.pids for part in stack.status()}
    assert after["one"] == before["one"]
    assert after["two"] != before["two"]


def test_a_part_that_dies_while_starting_shows_the_end_of_its_log(build: Callable[..., Stack], home: Path) -> None:
    stack = build("one", codes={"one": "raise SystemExit('no such model: {port}')"}, report=Lines())
    stack.ensure()

    with pytest.raises(Unavailable) as caught:
        stack.wait_for("one")

    assert "no such model" in str(caught.value)
    assert str(home / "logs" / "one.log") in str(caught.value)


def test_a_part_elsewhere_is_checked_and_never_started(build: Callable[..., Stack]) -> None:
    stack = build("here", "there", local="here", report=Lines())

    stack.ensure()
    with pytest.raises(Unavailable, match=r"there at http://127.0.0.1:\d+ does not answer: .* correct LAKEHOP_X"):
        stack.wait_for()

    assert states(stack)["there"] == "unreachable"


def test_one_part_can_be_started_and_awaited_alone(build: Callable[..., Stack]) -> None:
    stack = build("one", "two", report=Lines())

    stack.ensure(["one"])
    stack.wait_for("one")

    assert states(stack) == {"one": "healthy", "two": "stopped"}
    assert stack.stop("one") is True
    assert states(stack) == {"one": "stopped", "two": "stopped"}


def test_each_local_part_binds_loopback_and_the_port_of_its_setting(home: Path) -> None:
    settings = Settings(home=home, milvus_uri="http://127.0.0.1:1", gateway_url="http://127.0.0.1:2")
    commands = {
        process.name: " ".join(process.command)
        for part in stack_parts(settings).values()
        for process in part.processes()
    }
    assert "--host 127.0.0.1" in commands["milvus"]
    assert "--port 1" in commands["milvus"]
    assert "--host 127.0.0.1 --port 2" in commands["gateway"]


def test_the_thrift_server_gets_the_spark_configuration_of_the_jobs(home: Path) -> None:
    settings = Settings(home=home)
    (process,) = thrift_part(settings).processes()

    given = [value for flag, value in pairwise(process.command) if flag == "--conf"]
    assert given == [f"{name}={value}" for name, value in spark_conf(settings).items()]
    assert Path(process.command[-1]).is_file()


def test_a_local_part_that_does_not_exist_is_wrong_usage(home: Path) -> None:
    with pytest.raises(InvalidInput, match="'kafka': must be some of milvus, vllm, gateway, airflow"):
        local_part_names(Settings(home=home, local_parts="milvus, kafka"))


def test_visible_settings_hide_secrets(home: Path) -> None:
    values = visible_settings(Settings(home=home, milvus_token="root:hunter2"))

    assert values["LAKEHOP_HOME"] == str(home)
    assert "hunter2" not in json.dumps(values)


def test_the_operator_key_is_made_once_for_its_owner_only(home: Path) -> None:
    settings = Settings(home=home)
    with pytest.raises(NotAuthenticated, match="lakehop up"):
        operator_key(settings)

    ensure_operator_key(settings)
    first = operator_key(settings)
    ensure_operator_key(settings)

    assert operator_key(settings) == first
    assert (home / "operator.key").stat().st_mode & 0o777 == 0o600
    key = Ledger(Database.open(settings)).authenticate(first)
    assert key is not None
    assert key.operator


def test_an_operator_key_that_the_ledger_forgot_is_made_anew(home: Path) -> None:
    settings = Settings(home=home)
    ensure_operator_key(settings)
    first = operator_key(settings)
    (home / "lakehop.sqlite").unlink()

    ensure_operator_key(settings)

    assert operator_key(settings) != first
    assert Ledger(Database.open(settings)).authenticate(operator_key(settings)) is not None


def test_a_supervisor_of_the_same_home_sees_what_another_process_started(
    build: Callable[..., Stack], home: Path
) -> None:
    stack = build("one", report=Lines())
    stack.ensure()

    found = Supervisor(home).find("one")

    assert found is not None
    assert (found.pid,) == stack.status()[0].pids
