"""The kept Spark driver as its clients see it: where it listens, what it is asked, what it answers.

`lakehop up` keeps one Spark driver on a machine whose Spark is local (`spark_jobs.kept_driver`). A job that starts a
JVM and Python workers of its own needs half a minute before its first row; the kept driver has them. A request holds
the arguments of `spark_jobs/main.py`. The answers are the lines of the job's log, then its exit code. A client that
closes the connection stops its job.

The driver listens on a Unix socket below home, which only its user can open. Settings and code of the client must be
those of the driver (`fingerprint`), else it refuses, and the caller submits a job as on a cluster.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from lakehouse.errors import LakehopError, Unavailable
from lakehouse.settings import PROJECT_ROOT, Settings

BUSY = 75
"""Exit code of a job that did nothing because another job of its tenant runs: EX_TEMPFAIL of sysexits.h."""
_CODE = ("lakehouse", "spark_jobs")


def socket_path(settings: Settings) -> Path:
    """The driver's socket."""
    return settings.home.resolve() / "run" / "spark.sock"


def fingerprint(settings: Settings) -> str:
    """Changes with every setting and with every module of a job."""
    values = {name: _plain(getattr(settings, name)) for name in type(settings).model_fields}
    files = sorted(file for package in _CODE for file in (PROJECT_ROOT / package).rglob("*.py"))
    code = [(str(file), file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([values, code], sort_keys=True).encode()).hexdigest()


class BusyError(LakehopError):
    """Another job of the tenant runs; this one did nothing. `wait_s`: when to ask again, seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def run_there(settings: Settings, arguments: Sequence[str], line: Callable[[str], None]) -> int | None:
    """Run a job in the kept driver; `line` gets each line of its log. Returns its exit code, raises `BusyError`.

    None where no driver is kept, or it has other settings or code. Raises `Unavailable` if the driver dies meanwhile.
    """
    try:
        with connected(settings) as driver:
            send(driver, {"fingerprint": fingerprint(settings), "arguments": list(arguments)})
            for answer in answers(driver):
                if "refused" in answer:
                    line(f"the kept Spark driver is not used: {answer['refused']}")
                    return None
                if answer.get("exit") == BUSY:
                    raise BusyError(answer["wait_s"])
                if "exit" in answer:
                    return int(answer["exit"])
                line(answer["line"])
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    raise Unavailable("spark", "the kept Spark driver ended before the job did; its log is logs/spark.log below home.")


def serves(settings: Settings) -> str:
    """Empty when the driver takes jobs, else the reason in one line."""
    try:
        with connected(settings) as driver:
            send(driver, {})
            return next((str(answer["state"]) for answer in answers(driver)), "it closed the connection")
    except OSError as error:
        return f"{socket_path(settings)}: {error.strerror or error}"


@contextmanager
def connected(settings: Settings) -> Iterator[Connection]:
    """A connection to the driver. Raises OSError without one."""
    with _short(socket_path(settings)) as address, Client(address, family="AF_UNIX") as connection:
        yield connection


@contextmanager
def listening(settings: Settings) -> Iterator[Listener]:
    """The driver's listener; it replaces the socket of a driver that died."""
    path = socket_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with _short(path) as address:
        before = os.umask(0o177)
        try:
            listener = Listener(address, family="AF_UNIX", backlog=16)
        finally:
            os.umask(before)
        with listener:
            yield listener


def send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection) -> dict[str, Any]:
    """The next message. Raises EOFError or OSError when the other side is gone."""
    message: dict[str, Any] = json.loads(connection.recv_bytes())
    return message


def answers(connection: Connection) -> Iterator[dict[str, Any]]:
    """The messages of the other side until it closes the connection."""
    while True:
        try:
            yield receive(connection)
        except (EOFError, ConnectionResetError):
            return


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """An address of the socket by its open folder: a path of a socket has 107 bytes at most, a home may have more."""
    folder = os.open(path.parent, os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
