"""Starts, finds and stops the long-running processes of the local stack.

Every started process carries `STACK_PART=<home>:<name>` in its environment, and all its descendants inherit it. This
mark, not a process id on disk, identifies our processes: a recycled id is never mistaken for ours, and children that
outlive their parent (BentoML leaves some, each in its own session) are still found and stopped.
`<home>/run/<name>.json` holds the leader's id, port and command; `<home>/logs/<name>.log` holds its output.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydantic import SecretStr

from lakehouse.errors import Unavailable
from lakehouse.settings import PREFIX, Settings

MARK = "STACK_PART"
_PROGRAMS = Path(sys.executable).parent
TERM_GRACE_S = 10.0  # vLLM and Airflow's scheduler need a few seconds to exit cleanly


@dataclass(frozen=True)
class Process:
    """A process to start. `port`: must be free; `setting`: the variable that changes the port."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    port: int | None = None
    setting: str = ""


@dataclass(frozen=True)
class RunningProcess:
    """A live leader process: its id, and the resident memory of it and its descendants in bytes."""

    pid: int
    rss: int


class Supervisor:
    """Starts and stops the processes of one home folder; keeps no state in memory between calls."""

    def __init__(self, home: Path) -> None:
        self._home = home.resolve()

    def log_path(self, name: str) -> Path:
        return self._home / "logs" / f"{name}.log"

    def start(self, process: Process) -> None:
        """Start `process` in a new session unless it runs already; stop leftovers of an earlier one first.

        Raises `Unavailable` with the port, its holder and the setting when the port is taken.
        """
        if self.find(process.name):
            return
        self.stop(process.name)
        if process.port is not None:
            check_port_is_free(process.name, process.port, process.setting)
        log_path = self.log_path(process.name)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        # SPT_NOENV: else a library that sets the process title overwrites the environment with our mark.
        environment = {**process.environment, MARK: self._mark(process.name), "SPT_NOENV": "1"}
        with log_path.open("wb") as log:
            started = subprocess.Popen(
                process.command,
                env=environment,
                cwd=process.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._write_state(process, started.pid)
        # The kernel shows the new environment a moment after the start; before that `find` would miss the process.
        while started.poll() is None and not self.find(process.name):
            time.sleep(0.01)

    def find(self, name: str) -> RunningProcess | None:
        """The running leader called `name`; None if it is dead or a zombie, or if its id belongs to another process."""
        try:
            pid = int(json.loads(self._state_path(name).read_text())["pid"])
            leader = psutil.Process(pid)
            if leader.status() == psutil.STATUS_ZOMBIE or _mark_of(leader) != self._mark(name):
                return None
            return RunningProcess(pid, sum(_rss(member) for member in self._members(name)))
        except (OSError, ValueError, KeyError, psutil.Error):
            return None

    def stop(self, name: str) -> bool:
        """Stop the leader and every descendant: TERM, then KILL after TERM_GRACE_S. True if any process was stopped."""
        members = list(self._members(name))
        for member in members:
            with contextlib.suppress(psutil.Error):
                member.terminate()
        psutil.wait_procs(members, timeout=TERM_GRACE_S)
        for member in self._members(name):  # listed again: a dying parent may have started another
            with contextlib.suppress(psutil.Error):
                member.kill()
                member.wait(TERM_GRACE_S)
        self._state_path(name).unlink(missing_ok=True)
        return bool(members)

    def stop_all(self) -> list[str]:
        """Stop every process that carries this home's mark, with or without a state file; return their names."""
        ours = f"{self._home}:"
        marks = {mark for process in psutil.process_iter() if (mark := _mark_of(process)).startswith(ours)}
        names = sorted(mark.removeprefix(ours) for mark in marks)
        if names:
            with ThreadPoolExecutor(max_workers=len(names)) as stoppers:
                list(stoppers.map(self.stop, names))
        for stale in (self._home / "run").glob("*.json"):
            stale.unlink()
        return names

    def last_lines(self, name: str, count: int = 15) -> str:
        """The end of the process's log; without Java's stack frames, which would push out the cause."""
        try:
            lines = self.log_path(name).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        kept = [line for line in lines if line.strip() and not line.startswith(("\tat ", "\t... "))]
        return "\n".join(kept[-count:])

    def _members(self, name: str) -> Iterator[psutil.Process]:
        return (process for process in psutil.process_iter() if _mark_of(process) == self._mark(name))

    def _mark(self, name: str) -> str:
        return f"{self._home}:{name}"

    def _state_path(self, name: str) -> Path:
        return self._home / "run" / f"{name}.json"

    def _write_state(self, process: Process, pid: int) -> None:
        path = self._state_path(process.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {"pid": pid, "port": process.port, "command": process.command, "started_at": time.time()}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(state))
        partial.replace(path)


def check_port_is_free(part: str, port: int, setting: str) -> None:
    """Raise `Unavailable` when something listens on the loopback `port`."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: a closing connection does not hold the port
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Unavailable(
                part,
                f"port {port}, which {part} needs, is taken by {_holder(port)} ({error.strerror}). "
                f"Stop that process, or choose another port with {setting}.",
            ) from None


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "a process of another user"


def _mark_of(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except (psutil.Error, OSError):  # another user's process, or a process that has just ended
        return ""


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def child_environment(settings: Settings) -> dict[str, str]:
    """Environment of a part: ours, with `settings` as variables, so that the part runs with exactly these settings.

    Our console scripts come first on the PATH: Airflow finds `spark-submit` there.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        environment[PREFIX + name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    environment["PATH"] = os.pathsep.join([str(_PROGRAMS), environment.get("PATH", os.defpath)])
    return environment


def program(name: str) -> str:
    """Path of a console script that belongs to the running interpreter."""
    return str(_PROGRAMS / name)
