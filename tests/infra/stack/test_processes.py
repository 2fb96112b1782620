"""Real processes, started and stopped: our processes end, other processes never do."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import infra.stack.processes
from infra.stack.processes import Process, Supervisor, check_port_is_free, child_environment
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings

SLEEP = "import time; time.sleep(60)"


def python(name: str, code: str, port: int | None = None) -> Process:
    return Process(name, (sys.executable, "-c", code), dict(os.environ), Path.cwd(), port, "LAKEHOP_TEST_URL")


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "did not come true within 10 s"
        time.sleep(0.05)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A running process that is not ours."""
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as process:
        yield process
        process.kill()


def test_a_started_process_is_found_and_once_stopped_is_gone(supervisor: Supervisor) -> None:
    supervisor.start(python("part", SLEEP))
    found = supervisor.find("part")
    assert found is not None
    assert psutil.Process(found.pid).cmdline()[-1] == SLEEP
    assert found.rss > 0

    assert supervisor.stop("part") is True

    assert supervisor.find("part") is None
    assert not psutil.pid_exists(found.pid)
    assert supervisor.stop("part") is False


def test_starting_twice_keeps_the_running_process(supervisor: Supervisor) -> None:
    supervisor.start(python("part", SLEEP))
    first = supervisor.find("part")
    supervisor.start(python("part", SLEEP))
    second = supervisor.find("part")

    assert first is not None
    assert second is not None
    assert first.pid == second.pid


def test_a_child_in_its_own_session_dies_with_its_part_even_after_its_parent(
    supervisor: Supervisor, home: Path
) -> None:
    pid_file = home / "child"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    supervisor.start(
        python(
            "part",
            f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)",
        )
    )
    until(lambda: pid_file.exists() and pid_file.read_text() and supervisor.find("part") is None)
    orphan = int(pid_file.read_text())
    assert psutil.pid_exists(orphan)

    assert supervisor.stop_all() == ["part"]

    assert not psutil.pid_exists(orphan)


def test_a_process_that_ignores_term_is_killed(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infra.stack.processes, "TERM_GRACE_S", 0.3)
    stubborn = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); {SLEEP}"
    supervisor.start(python("part", stubborn))
    until(lambda: supervisor.last_lines("part") == "deaf")
    found = supervisor.find("part")
    assert found is not None

    supervisor.stop("part")

    assert not psutil.pid_exists(found.pid)


def test_a_recycled_process_id_is_neither_found_nor_killed(
    supervisor: Supervisor, home: Path, stranger: subprocess.Popen[bytes]
) -> None:
    state = home / "run" / "part.json"
    state.parent.mkdir()
    state.write_text(json.dumps({"pid": stranger.pid}))

    assert supervisor.find("part") is None
    assert supervisor.stop("part") is False
    assert supervisor.stop_all() == []

    assert stranger.poll() is None
    assert not state.exists()


def test_a_damaged_state_file_counts_as_not_running(supervisor: Supervisor, home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "part.json").write_text("{")

    assert supervisor.find("part") is None


def test_two_homes_do_not_touch_each_others_processes(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(python("part", SLEEP))

    other = Supervisor(tmp_path / "other")
    assert other.find("part") is None
    assert other.stop_all() == []

    assert supervisor.find("part") is not None


def test_a_process_that_ended_leaves_its_last_lines(supervisor: Supervisor) -> None:
    supervisor.start(python("part", "print('one'); print('two'); raise SystemExit('three')"))
    until(lambda: supervisor.find("part") is None)

    assert sorted(supervisor.last_lines("part", 3).splitlines()) == ["one", "three", "two"]


def test_stack_frames_do_not_push_the_cause_out_of_the_last_lines(supervisor: Supervisor) -> None:
    log = supervisor.log_path("part")
    log.parent.mkdir()
    log.write_text("Exception: no Delta\n" + "\tat org.apache.Thing\n" * 40 + "\t... 24 more\n\n")

    assert supervisor.last_lines("part") == "Exception: no Delta"


def test_a_busy_port_names_the_port_its_holder_and_the_setting(
    supervisor: Supervisor, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Unavailable) as caught:
        supervisor.start(python("part", SLEEP, port))

    assert str(caught.value) == (
        f"port {port}, which part needs, is taken by process {os.getpid()} ({psutil.Process().name()}) "
        "(Address already in use). Stop that process, or choose another port with LAKEHOP_TEST_URL."
    )
    assert supervisor.find("part") is None


def test_a_port_with_closing_connections_only_is_free(free_port: Callable[[], int]) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as server:
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the server's side closes first and lingers in TIME_WAIT
        client.close()

    check_port_is_free("part", port, "LAKEHOP_TEST_URL")


def test_a_part_runs_with_exactly_the_settings_it_was_started_with(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("LAKEHOP_CONFIG", "/somewhere.toml")
    monkeypatch.setenv("LAKEHOP_MAX_HOPS", "7")

    environment = child_environment(Settings(home=home, llm_api_key="s3cret"))

    ours = {name: value for name, value in environment.items() if name.startswith("LAKEHOP_")}
    assert ours == {"LAKEHOP_HOME": str(home), "LAKEHOP_LLM_API_KEY": "s3cret"}
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
