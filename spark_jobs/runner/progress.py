"""How far a step is: in the log and in `ops.ingest_runs` every few seconds, with the time that is left.

Tasks tell the driver by datagrams, because Spark adds up its accumulators at the end of a task, and a task that embeds
may take ten minutes. A datagram holds all that its task has done, so a lost one makes a number late and never wrong.
Tasks find the driver by a local property of their Spark job, the driver's own code by a context variable: functions in
between pass nothing on. Where a firewall drops the datagrams, the log tells only what is to be done.
"""

import json
import logging
import secrets
import socket
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from datetime import datetime

from pyspark import TaskContext
from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from lakehouse.tables.runs import STEP_UNITS, progress_line
from spark_jobs.runner.counts import record_progress, recorded

PERIOD_S = 4.0
_KNOWN_FROM = {
    "chunk_documents": ("parse_documents", ("documents_added", "documents_changed")),
    "sync_index": ("chunk_documents", ("chunks_written", "chunks_deleted")),
}
"""Steps whose work an earlier step of the run has counted: that step, and its counts."""
_SEND_S = 0.05
_TAKE_S = 0.5  # a buffer of datagrams holds some hundred
_PROPERTY = "lakehop.progress"
_DATAGRAM = 512
log = logging.getLogger("spark_jobs")


@dataclass
class Progress:
    """What a step has to do and has done, in its unit of STEP_UNITS. `expected` 0: nobody knows before the end."""

    expected: int = 0
    done_by_task: dict[str, int] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    recorded: tuple[int, int | None] | None = None  # done and left in the table, which needs no commit for the same

    @property
    def done(self) -> int:
        done = sum(self.done_by_task.values())
        return min(done, self.expected) if self.expected else done  # a task that ran twice counts twice

    @property
    def left(self) -> int | None:
        return self.expected - self.done if self.expected else None

    @property
    def seconds_left(self) -> float | None:
        """At the speed until now; None before anything is done."""
        if not self.done or self.left is None:
            return None
        return (time.monotonic() - self.begun) / self.done * self.left


_current: ContextVar[Progress | None] = ContextVar("progress", default=None)


@dataclass
class _Task:
    """What the task of this process has done, and when it told the driver."""

    name: str = ""
    done: int = 0
    told_at: float = 0


_task = _Task()


def expect(items: int) -> None:
    """Called by the driver's code of a step: it has so many more items to do."""
    if progress := _current.get():
        progress.expected += items


def done(items: int) -> None:
    """Called by a task: it has done so many more items."""
    context = TaskContext.get()
    address = context and context.getLocalProperty(_PROPERTY)
    if not context or not address:
        return
    name = f"{context.stageId()}-{context.partitionId()}-{context.attemptNumber()}"
    if name != _task.name:  # a worker has one task at a time
        _task.name, _task.done, _task.told_at = name, 0, 0
    _task.done += items
    if time.monotonic() - _task.told_at < _SEND_S:
        return
    _task.told_at = time.monotonic()
    host, port, secret = json.loads(address)
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(json.dumps([secret, name, _task.done]).encode(), (host, port))


@contextmanager
def reported(
    spark: SparkSession, settings: Settings, args: Namespace, step: str, started_at: datetime
) -> Iterator[None]:
    """Report the progress of a step of an ingest until it ends."""
    if step not in STEP_UNITS:
        yield
        return
    progress, secret, ended = Progress(), secrets.token_hex(8), threading.Event()
    with _receiver(settings) as receiver:
        host = "127.0.0.1" if settings.spark_is_local else spark.conf.get("spark.driver.host")
        spark.sparkContext.setLocalProperty(_PROPERTY, json.dumps([host, receiver.getsockname()[1], secret]))
        token = _current.set(progress)

        def report() -> None:
            reported_at = time.monotonic()
            while not ended.wait(min(_TAKE_S, PERIOD_S)):
                _take(receiver, secret, progress)
                if time.monotonic() - reported_at >= PERIOD_S:
                    reported_at = time.monotonic()
                    _report(settings, args, step, started_at, progress)

        reporter = threading.Thread(target=copy_context().run, args=(report,), daemon=True)
        reporter.start()
        try:
            yield
        finally:
            ended.set()
            reporter.join()
            _current.reset(token)


def _receiver(settings: Settings) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1" if settings.spark_is_local else "", 0))
    receiver.setblocking(False)
    return receiver


def _take(receiver: socket.socket, secret: str, progress: Progress) -> None:
    """Read all datagrams that wait; those without the secret are of another step, or of a stranger."""
    while True:
        try:
            sent, task, items = json.loads(receiver.recv(_DATAGRAM))
        except BlockingIOError:
            return
        except (ValueError, TypeError):
            continue
        if sent == secret:
            progress.done_by_task[task] = max(items, progress.done_by_task.get(task, 0))


def _report(settings: Settings, args: Namespace, step: str, started_at: datetime, progress: Progress) -> None:
    try:
        if not progress.expected and step in _KNOWN_FROM:
            earlier, names = _KNOWN_FROM[step]
            counts = recorded(settings, args, earlier)
            progress.expected = sum(counts.get(name, 0) for name in names)
        now, seconds = (progress.done, progress.left), progress.seconds_left
        log.info("%s", progress_line(step, *now, seconds))
        if now != progress.recorded:
            record_progress(settings, args, step, started_at, *now, seconds)
            progress.recorded = now
    except Exception as error:  # the step's own writes will tell what is wrong with the storage
        log.warning("%s: its progress is not in ops.ingest_runs: %s", step, error)
