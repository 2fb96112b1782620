"""A Spark driver that runs job after job, so that a small change is small.

`python -m spark_jobs.kept_driver` starts it. A job of its own starts a JVM, a session, Python workers and an
embedding model: a minute of a small machine for one changed document. This process has them from one job to the next.
Each job gets a thread, a session and a FAIR pool of its own, so jobs of different tenants run at the same time; the
writer lock keeps jobs of one tenant apart. There are twice as many task slots as one job uses, so a long stage of one
tenant leaves slots to the others.

It ends, for its keeper to start it again, after MAX_JOBS jobs (a JVM collects garbage that nothing frees), when its
JVM is gone, and when a client has other settings or code. `lakehouse.kept_driver` describes the protocol.
"""

import contextlib
import io
import logging
import os
import re
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from multiprocessing.connection import Connection
from typing import Any
from uuid import uuid4

from pyspark import InheritableThread
from pyspark.sql import SparkSession

from lakehouse.index.embedding import load_embedder
from lakehouse.kept_driver import BUSY, fingerprint, listening, receive, send
from lakehouse.settings import Settings, load_settings
from lakehouse.spark_conf import LONG_LIVED_JVM
from lakehouse.storage.spark import set_session_conf, spark_session
from spark_jobs.main import log_to_stderr, parse_arguments, run_job
from spark_jobs.runner.turns import FIRST_WAIT_S, Turns

MAX_JOBS = 500
_POLL_S = 0.5
_LOCK_WAIT_S = 1.0  # Airflow asks again, and its slot is free meanwhile
_REST = {
    "spark.scheduler.mode": "FAIR",
    "spark.python.daemon.module": "spark_jobs.warm_workers",
    "spark.driver.extraJavaOptions": LONG_LIVED_JVM,
    # What Spark remembers of past jobs, for an interface that is off.
    "spark.ui.retainedJobs": "20",
    "spark.ui.retainedStages": "20",
    "spark.ui.retainedTasks": "200",
    "spark.sql.ui.retainedExecutions": "5",
}

log = logging.getLogger("spark_jobs")
_line: ContextVar[Callable[[str], None] | None] = ContextVar("line", default=None)
_parsing = threading.Lock()


class _ToClient(logging.Handler):
    """Hands each line to the client whose job logs it."""

    def emit(self, record: logging.LogRecord) -> None:
        if say := _line.get():
            say(self.format(record))


class KeptDriver:
    """Answers requests until it retires."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fingerprint = fingerprint(settings)
        self._spark: SparkSession | None = None
        self._started = threading.Event()
        self._changing = threading.Lock()
        self._running = 0
        self._jobs = 0
        self._retired = ""
        self._turns = Turns()

    def serve(self) -> None:
        """Start Spark and answer requests, each in a thread."""
        with listening(self._settings) as listener:
            threading.Thread(target=self._start, daemon=True).start()
            while True:
                threading.Thread(target=self._answer, args=(listener.accept(),), daemon=True).start()

    def _start(self) -> None:
        try:
            self._spark = spark_session(self._settings, "lakehop kept driver", driver_conf(self._settings.spark_master))
        except BaseException:
            log.exception("Spark does not start")
            os.kill(os.getpid(), signal.SIGTERM)
            raise
        self._started.set()
        load_embedder(self._settings.embedding_model)  # takes seconds, which the first small change would wait for

    def _answer(self, client: Connection) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            request = receive(client)
            if not request:
                send(client, {"state": "" if self._started.is_set() else "Spark is starting"})
            elif refusal := self._refusal(request["fingerprint"]):
                send(client, {"refused": refusal})
                self._leave()
            else:
                try:
                    send(client, self._run(client, request["arguments"]))
                finally:
                    self._end()
                    self._leave()

    def _refusal(self, client: str) -> str:
        """Why the job is not taken; if it is taken, it counts as running."""
        with self._changing:
            if client != self._fingerprint:
                self._retired = "it has other settings or older code; it starts again"
            if not self._retired:
                self._running += 1
                self._jobs += 1
            return self._retired

    def _end(self) -> None:
        with self._changing:
            self._running -= 1
            if self._jobs >= MAX_JOBS:
                self._retired = "it starts again after many jobs"
            if self._started.is_set() and not _is_alive(self._spark):
                self._retired = "its JVM has ended; it starts again"

    def _leave(self) -> None:
        """End this process if it has retired and no job runs; its JVM ends with it."""
        with self._changing:
            if self._retired and not self._running:
                log.info("ends: %s", self._retired)
                os.kill(os.getpid(), signal.SIGTERM)

    def _run(self, client: Connection, arguments: Sequence[str]) -> dict[str, int]:
        """Run a job in a thread, stop it when its client is gone, return its exit code."""
        exit_codes: list[int] = []
        sending = threading.Lock()  # a job may log from several threads
        tag = f"lakehop-{uuid4().hex}"
        self._started.wait()
        assert self._spark
        session = self._spark.newSession()
        set_session_conf(session)

        def say(line: str) -> None:
            with sending, contextlib.suppress(OSError):
                send(client, {"line": line})

        args = _parsed(arguments, say)
        if isinstance(args, int):
            return {"exit": args}
        turn = (args.tenant or "", args.run_id)
        if wait_s := self._turns.wait_s(*turn):
            say(f"other runs of tenant {args.tenant!r} come first")
            return {"exit": BUSY, "wait_s": wait_s}
        job = InheritableThread(target=lambda: exit_codes.append(_job(session, args, tag, say)), daemon=True)
        job.start()
        while job.is_alive():
            job.join(_POLL_S)
            if _is_gone(client):
                _stop(session, tag)
        exit_code = exit_codes[0] if exit_codes else 1
        if exit_code != BUSY:
            self._turns.end(*turn)
        return {"exit": exit_code, "wait_s": FIRST_WAIT_S}


def driver_conf(master: str) -> dict[str, str]:
    """Configuration of the kept driver: twice the slots of `master`, and as many tasks a stage as `master` has."""
    found = re.match(r"local\[(\d+)", master)
    tasks = int(found[1]) if found else (os.cpu_count() or 1) if "*" in master else 1
    return _REST | {"spark.master": f"local[{2 * tasks}]", "spark.default.parallelism": str(tasks)}


def _parsed(arguments: Sequence[str], say: Callable[[str], None]) -> Namespace | int:
    """The arguments, or the exit code of wrong ones."""
    with _parsing, contextlib.redirect_stderr(io.StringIO()) as usage:
        try:
            return parse_arguments(arguments)
        except SystemExit as ended:
            say(usage.getvalue().strip())
            return int(ended.code or 0)


def _job(session: SparkSession, args: Namespace, tag: str, say: Callable[[str], None]) -> int:
    """Exit code of the job. `tag` marks its Spark jobs, also those of its streams."""
    _line.set(say)
    context: Any = session.sparkContext
    context.addJobTag(tag)
    context.setLocalProperty("spark.scheduler.pool", args.tenant or "all tenants")
    try:
        return run_job(args, lambda settings, name: session, _LOCK_WAIT_S)
    except Exception:
        log.exception("%s failed", " ".join(args.steps))
        return 1


def _is_gone(client: Connection) -> bool:
    """Whether the client closed the connection; it sends nothing after its request."""
    try:
        return client.poll(0)
    except OSError:
        return True


def _stop(session: SparkSession, tag: str) -> None:
    with contextlib.suppress(Exception):  # the job may end at this moment
        for stream in session.streams.active:
            stream.stop()
        session.sparkContext.cancelJobsWithTag(tag)


def _is_alive(spark: SparkSession | None) -> bool:
    try:
        return spark is not None and spark.range(1).count() == 1
    except Exception:
        return False


def main() -> int:
    """Serve until the process is ended."""
    log_to_stderr()
    handler = _ToClient()
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    logging.getLogger().addHandler(handler)
    KeptDriver(load_settings()).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
