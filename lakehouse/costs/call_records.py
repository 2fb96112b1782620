"""Call records, one for every model call, tool call, search and finished task, and the spool that keeps them.

Only the process that made a call knows its cost, and the lakehouse may be unavailable at that moment. So a service
writes the record to its own disk before it uses the call's result; the job `load_llm_calls` loads spooled records into
`bronze.llm_calls` later. An acknowledged record survives kill -9 and a power cut.
"""

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from lakehouse.errors import InvalidInput, Unavailable

MONEY_PLACES = 10


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """One row of `silver.llm_calls` before it is loaded; `lakehouse.tables` describes the columns.

    Raises InvalidInput for a time without a zone, and for money that is not a Decimal with at most ten places: such a
    record could be spooled and never loaded.
    """

    call_id: str
    task_id: str
    operation: str
    started_at: datetime
    latency_ms: float
    tenant_id: str
    user_id: str | None = None
    app: str
    key_id: str
    program: str
    program_version: str
    agent: str
    hop: int = 0
    sub_task: str | None = None
    model: str | None = None
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = Decimal(0)
    saved_usd: Decimal = Decimal(0)
    price_from: str | None = None
    attempt: int = 1
    cache_hit: bool = False
    outcome: str
    error: str | None = None
    usage_source: str | None = None

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None:
            raise InvalidInput(f"started_at={self.started_at!r} has no time zone. Give it in UTC.")
        for name in ("usd", "saved_usd"):
            amount = getattr(self, name)
            if not isinstance(amount, Decimal) or not amount.is_finite() or amount != round(amount, MONEY_PLACES):
                raise InvalidInput(f"{name}={amount!r}: must be a Decimal with at most {MONEY_PLACES} places.")

    def to_json(self) -> str:
        """One line of JSON: money as a string with ten places, time as ISO 8601 in UTC."""
        plain = dict(vars(self))
        plain["started_at"] = self.started_at.astimezone(UTC).isoformat()
        plain["usd"] = f"{self.usd:.{MONEY_PLACES}f}"
        plain["saved_usd"] = f"{self.saved_usd:.{MONEY_PLACES}f}"
        return json.dumps(plain, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> "CallRecord":
        """The record of a line that `to_json` wrote. Raises InvalidInput for any other text."""
        try:
            plain: dict[str, Any] = json.loads(line)
            plain["started_at"] = datetime.fromisoformat(plain["started_at"])
            plain["usd"] = Decimal(plain["usd"])
            plain["saved_usd"] = Decimal(plain["saved_usd"])
            return cls(**plain)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            names = ", ".join(field.name for field in fields(cls))
            raise InvalidInput(f"call record {line[:200]!r}: {error!r}. A record is JSON with {names}.") from None


class Spool:
    """Durable outbox of call records: `append` returns when they are on disk. Safe for threads and processes.

    Each instance writes its own segment file in `folder/open`. Any process may `seal` at any time, which moves the
    segments to `folder/sealed`, where nobody writes. An append needs one fsync, some milliseconds: call it off the
    event loop.
    """

    def __init__(self, folder: Path) -> None:
        self._open_folder = folder / "open"
        self._segment: _Segment | None = None
        self._threads = threading.Lock()

    def append(self, *records: CallRecord) -> None:
        """Write the records in order. Raises Unavailable when they could not be written to disk."""
        lines = "".join(record.to_json() + "\n" for record in records).encode()
        if not lines:
            return
        try:
            with self._threads, self._locked_segment() as segment:
                segment.write(lines)
        except OSError as error:
            self._segment = None  # its end may hold half a record: never write behind it
            raise Unavailable(
                "spool",
                f"call records cannot be written to {str(self._open_folder)!r}: {error}. Free or repair the disk.",
            ) from error

    @contextmanager
    def _locked_segment(self) -> Iterator["_Segment"]:
        while True:
            # A forked process shares its parent's lock on a segment, so it needs a segment of its own.
            if self._segment is None or self._segment.process != os.getpid():
                self._segment = _Segment(self._open_folder)
            with _flock(self._segment.file):
                if self._segment.is_at_its_path():
                    yield self._segment
                    return
            self._segment = None  # it was sealed in the meantime

    @staticmethod
    def lines(folder: Path) -> Iterator[str]:
        """All spooled records as JSON lines; only records that are being loaded at this moment may be missing."""
        for place in ("open", "sealed"):
            for path in sorted((folder / place).glob("*.jsonl")):
                with suppress(FileNotFoundError):  # sealed (then it is read again in the second folder) or loaded
                    yield from segment_lines(path)

    @staticmethod
    def seal(folder: Path) -> list[Path]:
        """Move every open segment to `folder/sealed`; return their paths, oldest first. Waits for running appends."""
        sealed_folder = folder / "sealed"
        _make_folder(sealed_folder)
        moved = [_seal_segment(path, sealed_folder) for path in sorted((folder / "open").glob("*.jsonl"))]
        _sync_folder(sealed_folder)
        return [path for path in moved if path]


def segment_lines(path: Path) -> Iterator[str]:
    """The records of a segment as JSON lines, without line ends.

    A last line without a line end was cut off by a crash before its append was acknowledged; it is left out.
    """
    with path.open("rb") as segment:
        for line in segment:
            if line.endswith(b"\n"):
                yield line[:-1].decode(errors="replace")


class _Segment:
    """One append-only file in the open folder, made by this process."""

    def __init__(self, folder: Path) -> None:
        _make_folder(folder)
        self.process = os.getpid()
        self.path = folder / f"{time.time_ns()}-{self.process}-{secrets.token_hex(4)}.jsonl"
        self.file = open(self.path, "xb", buffering=0)  # noqa: SIM115  closed by the last reference to the segment
        _sync_folder(folder)

    def is_at_its_path(self) -> bool:
        """False after the segment was sealed. Call it while holding the lock."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        return there.st_ino == os.fstat(self.file.fileno()).st_ino

    def write(self, lines: bytes) -> None:
        """Write the lines to disk; after an error, remove the part that was written, if the disk allows it."""
        before = self.file.tell()
        try:
            written = 0
            while written < len(lines):
                written += self.file.write(lines[written:])
            os.fsync(self.file.fileno())
        except OSError:
            with suppress(OSError):
                self.file.truncate(before)
            raise


def _seal_segment(path: Path, sealed_folder: Path) -> Path | None:
    try:
        with path.open("rb") as segment, _flock(segment):
            if os.fstat(segment.fileno()).st_size == 0:
                path.unlink()
                return None
            os.utime(path)  # Spark's file stream skips files that are much older than files it has read
            return path.rename(sealed_folder / path.name)
    except FileNotFoundError:
        return None  # another process sealed it first


# Not filelock: the lock must be on the segment itself, which a sealing process renames while others wait for it.
@contextmanager
def _flock(file: IO[bytes]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _make_folder(folder: Path) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the folder's file names durable; fsync of a file does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
