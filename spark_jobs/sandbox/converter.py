"""The Spark worker's side of the sandbox: starts the converting process, and kills it when a parser misbehaves.

A parser that hangs, uses up memory or crashes ends its own process and not the Spark worker. The document that it was
reading is refused with that reason, and a new process continues with the next document.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import IO

from spark_jobs.formats.container import TIMES_A_FILE
from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.formats.registry import file_rejection, is_container
from spark_jobs.sandbox.channel import Frame, receive, send
from spark_jobs.sandbox.process import OUT_OF_MEMORY, too_much_memory

_START_SECONDS = 120  # to start Python and import parsers: 4 s, and far more on a busy machine
_MAX_STOPS = 10  # for one file: an archive may be full of documents that crash their parser
# Native code ends so when an allocation fails; a crash over damaged bytes looks the same.
_CRASHES = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)


class _Stopped(Exception):
    """The process ended; the message is the reason to refuse the document that it was reading."""


class Converter:
    """Converts files one after the other, in one process that lives until `close` or until the Spark worker ends."""

    def __init__(self, limits: ParseLimits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def convert(self, doc_id: str, uri: str, file: IO[bytes]) -> Iterator[ParsedDocument | Rejection]:
        """Every document of an open file, or why it was refused, in the order of the file."""
        done = stops = 0
        until = time.monotonic() + TIMES_A_FILE * self._limits.seconds
        is_finished = False
        try:
            while not is_finished:
                current: Frame | None = None  # of the document that is being read
                done_before = done
                try:
                    for frame in self._frames(doc_id, uri, file, done):
                        if "begin" in frame:
                            current = frame
                            continue
                        assert current is not None
                        yield _parsed(current, frame)
                        current, done = None, done + 1
                        if time.monotonic() > until:
                            yield _unread_rest(doc_id, done, f"took over {TIMES_A_FILE} times LAKEHOP_DOCUMENT_SECONDS")
                            return
                    is_finished = True
                except _Stopped as stopped:
                    self.close()
                    stops += 1
                    if current is None and done > done_before:
                        continue  # stopped between two documents: the next document gets a new process
                    yield file_rejection(
                        str(stopped), current["begin"] if current else doc_id, uri=current["uri"] if current else None
                    )
                    done += 1
                    is_finished = current is None or not is_container(doc_id)
                    if not is_finished and stops == _MAX_STOPS:
                        yield _unread_rest(doc_id, done, f"stopped its reader {stops} times")
                        return
        finally:
            if not is_finished:  # the process is still reading a file that nobody waits for
                self.close()

    def close(self) -> None:
        """End the process, and every program that it started."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _frames(self, doc_id: str, uri: str, file: IO[bytes], skip: int) -> Iterator[Frame]:
        channel = self._started()
        try:
            send(channel, {"doc_id": doc_id, "uri": uri, "skip": skip}, file.fileno())
            channel.settimeout(_START_SECONDS)
            while True:
                frame, _ = receive(channel)
                if "done" in frame:
                    if frame["retires"]:
                        self.close()
                    return
                channel.settimeout(_START_SECONDS if "preparing" in frame else self._limits.seconds)
                if "preparing" not in frame and "prepared" not in frame:
                    yield frame
        except TimeoutError:
            raise _Stopped(
                f"took more than {self._limits.seconds:g} s to read and was stopped. "
                "Split or simplify it, or raise LAKEHOP_DOCUMENT_SECONDS."
            ) from None
        except (EOFError, ConnectionError):
            raise _Stopped(self._cause_of_death()) from None

    def _started(self) -> socket.socket:
        if self._channel is not None and self._process is not None and self._process.poll() is None:
            return self._channel
        self.close()
        self._channel, theirs = socket.socketpair()
        command = [sys.executable, "-m", "spark_jobs.sandbox.process", str(theirs.fileno()), str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(
                [*command, json.dumps(asdict(self._limits))],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=_environment(),
            )
        return self._channel

    def _cause_of_death(self) -> str:
        assert self._process is not None
        status = self._process.wait()
        if status == OUT_OF_MEMORY:
            return too_much_memory(self._limits)
        if -status in _CRASHES:
            return f"stopped its reader by signal {-status}: it is damaged, or {too_much_memory(self._limits)}"
        return f"stopped its reader with status {status}: it is damaged. Repair it, or convert it to Markdown."


def _environment() -> dict[str, str]:
    """As little as parsers need: no credentials, and one thread, because each thread reserves memory of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "TESSDATA_PREFIX") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join(path for path in sys.path if path)
    return kept | threads | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


def _parsed(current: Frame, frame: Frame) -> ParsedDocument | Rejection:
    if "reason" in frame:
        return file_rejection(frame["reason"], current["begin"], uri=current["uri"])
    moment = frame["updated_at"] and datetime.fromisoformat(frame["updated_at"])
    read = {name: frame[name] for name in ("title", "text", "document_type", "author")}
    return ParsedDocument(doc_id=current["begin"], uri=current["uri"], updated_at=moment, **read)


def _unread_rest(doc_id: str, done: int, cause: str) -> Rejection:
    reason = (
        f"{cause}; what comes after its first {done} documents was not read. Split it, or unpack and ingest the folder."
    )
    return file_rejection(reason, doc_id)
