"""The Spark worker's side of converting: a process of its own that may be killed, and what became of each document.

A parser that hangs, eats the memory or crashes takes its process with it and not the Spark worker; the document that
it was at is refused with that reason, and a new process goes on with the next one.
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

from spark_jobs.formats.parsing import CONTAINERS, Document, Limits, Rejection, refusal
from spark_jobs.sandbox.containers import TIMES_A_FILE
from spark_jobs.sandbox.process import OUT_OF_MEMORY, Frame, receive, send, too_much_memory

_START_SECONDS = 120  # starting Python and importing parsers: 4 s alone, much more on a machine that is busy
_MAX_STOPS = 10  # of one file: an archive full of poison ends somewhere
# How native code ends when it gets no memory, which cannot be told from a crash over damaged bytes.
_CRASHES = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP)


class _Stopped(Exception):
    """The process is gone; its text says why, as the reason of whatever it was at."""


class Converter:
    """Converts files one after the other in a process that it keeps until `close`, or until its owner is gone."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def convert(self, doc_id: str, uri: str, file: IO[bytes]) -> Iterator[Document | Rejection]:
        """Every document of an open file, or why it is none, in the order in which they lie in it."""
        done = stops = 0
        until = time.monotonic() + TIMES_A_FILE * self._limits.seconds
        is_finished = False
        try:
            while not is_finished:
                begun: Frame | None = None
                done_before = done
                try:
                    for frame in self._frames(doc_id, uri, file, done):
                        if "begin" in frame:
                            begun = frame
                            continue
                        assert begun is not None
                        yield _parsed(begun, frame)
                        begun, done = None, done + 1
                        if time.monotonic() > until:
                            yield _rest(doc_id, done, f"took over {TIMES_A_FILE} times LAKEHOP_DOCUMENT_SECONDS")
                            return
                    is_finished = True
                except _Stopped as stopped:
                    self.close()
                    stops += 1
                    if begun is None and done > done_before:
                        continue  # stopped on its way to the next document: that one gets a process of its own
                    yield refusal(
                        str(stopped), begun["begin"] if begun else doc_id, uri=begun["uri"] if begun else None
                    )
                    done += 1
                    is_finished = begun is None or not doc_id.lower().endswith(CONTAINERS)
                    if not is_finished and stops == _MAX_STOPS:
                        yield _rest(doc_id, done, f"stopped its reader {stops} times")
                        return
        finally:
            if not is_finished:  # the process is amid a file that nobody waits for
                self.close()

    def close(self) -> None:
        """End the process, and what it may have started."""
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
    """As little as a parser needs: no credentials, and one thread, for each reserves memory of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "TESSDATA_PREFIX") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join(path for path in sys.path if path)
    return kept | threads | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


def _parsed(begun: Frame, frame: Frame) -> Document | Rejection:
    if "reason" in frame:
        return refusal(frame["reason"], begun["begin"], uri=begun["uri"])
    moment = frame["updated_at"] and datetime.fromisoformat(frame["updated_at"])
    return Document(begun["begin"], frame["title"], frame["text"], begun["uri"], updated_at=moment)


def _rest(doc_id: str, done: int, why: str) -> Rejection:
    reason = (
        f"{why}; what comes after its first {done} documents was not read. Split it, or unpack and ingest the folder."
    )
    return refusal(reason, doc_id)
