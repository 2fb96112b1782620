"""Memory of users across tasks: notes in the user's own words, and answers with the chunks that support them.

Entries are written to the lakehouse directly and not through the spool: of two writers one must be refused, and a
written entry must be readable at every gateway at once. A write takes some 0.2 s, and writes are rare. An entry belongs
to one user in one app. An answer is returned only while the reader may read every chunk that supports it.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from lakehouse.access.permissions import Caller, acl_directory, check_tenant
from lakehouse.errors import InvalidInput, LakehopError, NotFound, StaleWrite
from lakehouse.settings import Settings
from lakehouse.storage.delta import (
    Filter,
    append,
    delete,
    purge_deleted,
    read_rows,
    replace_version,
    rows_in_files,
    upsert,
)
from lakehouse.tables import CHUNKS, MEMORIES

MAX_ENTRIES = 100  # of one user: a longer list is a document, and belongs into the corpus
MAX_CHARACTERS = 2_000
_READ_ATTEMPTS = 3  # another `forget` may delete a file while it is being read


@dataclass(frozen=True)
class Owner:
    """The user whose memory it is. `app` None: the user in all apps, for operators."""

    tenant_id: str
    app: str | None
    user_id: str

    def __post_init__(self) -> None:
        check_tenant(self.tenant_id)
        if not 1 <= len(self.user_id) <= 256:
            raise InvalidInput(f"user {self.user_id[:40]!r}: must have 1 to 256 characters. Name the user.")

    @classmethod
    def of(cls, caller: Caller) -> "Owner":
        """The caller as owner. Raises InvalidInput if the app names no user."""
        if not caller.user_id:
            raise InvalidInput("user: missing. Memory is a user's: name who asks, as the app knows them.")
        return cls(caller.tenant_id, caller.app, caller.user_id)

    def filters(self) -> list[Filter]:
        """Filters of `read_rows` for the owner's entries."""
        of_user: list[Filter] = [("tenant_id", "=", self.tenant_id), ("user_id", "=", self.user_id)]
        return of_user if self.app is None else [*of_user, ("app", "=", self.app)]


@dataclass(frozen=True)
class Forgotten:
    """Result of `forget`; `rows_left`: rows that reading all files still found, 0 as proof."""

    entries: int
    files_purged: int
    rows_left: int


@dataclass(frozen=True)
class Memory:
    """One entry. `chunk_ids`, `sources` and `doc_ids` name the chunks that support an answer; empty for a note."""

    memory_id: str
    app: str
    user_id: str
    kind: Literal["note", "answer"]
    text: str
    question: str | None
    task_id: str | None
    chunk_ids: tuple[str, ...]
    sources: tuple[str, ...]
    doc_ids: tuple[str, ...]
    version: int
    created_at: datetime
    written_at: datetime
    expires_at: datetime


class Memories:
    """Reads and writes the table. Safe to share between threads; every method blocks for tenths of a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._acl = acl_directory(settings)

    def note(self, owner: Owner, text: str) -> Memory:
        """Add a note in the user's own words. Raises InvalidInput if the text is too long or the memory is full."""
        entry = self._new(owner, f"mem_{uuid.uuid4().hex}", "note", _check_text(text))
        self._check_not_full(owner)
        append(self._settings, MEMORIES, [_row(owner.tenant_id, entry)])
        return entry

    def answer(
        self, owner: Owner, groups: Sequence[str], *, question: str, answer: str, task_id: str, chunk_ids: Iterable[str]
    ) -> Memory | None:
        """Add a task's answer. None, and no entry, if there are no chunks or one of them is deleted or not readable.

        A task has one entry; adding it again replaces it.
        """
        chunks = self._chunks(owner.tenant_id, set(chunk_ids))
        allowed = self._acl.allowed_keys(owner.tenant_id, groups)
        if not chunks or not set(chunk_ids) <= {row["chunk_id"] for row in chunks if row["acl_key"] in allowed}:
            return None
        support = {
            "chunk_ids": tuple(row["chunk_id"] for row in chunks),
            "sources": tuple(row["source"] for row in chunks),
            "doc_ids": tuple(row["doc_id"] for row in chunks),
        }
        entry = self._new(
            owner, f"mem_{task_id}", "answer", answer[:MAX_CHARACTERS],
            question=question[:MAX_CHARACTERS], task_id=task_id, **support,
        )  # fmt: skip
        self._check_not_full(owner)
        upsert(self._settings, MEMORIES, [_row(owner.tenant_id, entry)])
        return entry

    def rewrite(self, owner: Owner, memory_id: str, text: str, read_version: int) -> Memory:
        """Replace a note's text if its version still is `read_version`. Raises NotFound, StaleWrite, InvalidInput."""
        text = _check_text(text)
        before = self._entry(owner, memory_id)
        if before.kind != "note":
            raise InvalidInput(
                f"memory {memory_id!r}: is an answer, which rests on documents. Forget it, or ask again."
            )
        now = datetime.now(UTC)
        days = timedelta(days=self._settings.memory_days)
        entry = Memory(**vars(before) | {
            "text": text, "version": read_version + 1, "written_at": now, "expires_at": now + days,
        })  # fmt: skip
        if not replace_version(self._settings, MEMORIES, _row(owner.tenant_id, entry), read_version):
            raise StaleWrite(
                f"memory {memory_id!r}: version {read_version} was read, and it was written since. Read it again."
            )
        return entry

    def entries(self, owner: Owner, groups: Sequence[str] | None) -> list[Memory]:
        """Entries that a member of the groups may see, newest first. `groups` None: all entries, for operators."""
        now = datetime.now(UTC)
        entries = [entry for entry in self._stored(owner) if entry.expires_at > now]
        if groups is not None:
            entries = self._readable(owner.tenant_id, groups, entries)
        return sorted(entries, key=lambda entry: entry.written_at, reverse=True)

    def forget(self, owner: Owner, memory_id: str | None = None) -> Forgotten:
        """Delete one entry, or all, for good: first the rows, then the files that held them; then check all files.

        Expired and unreadable entries are deleted too. Raises NotFound for an unknown entry, LakehopError if rows are
        left.
        """
        stored = self._stored(owner)
        deleted = stored if memory_id is None else [self._entry(owner, memory_id)]
        ids = {entry.memory_id for entry in deleted}
        delete(self._settings, MEMORIES, [_row(owner.tenant_id, entry) for entry in deleted])
        purged = purge_deleted(self._settings, MEMORIES)
        left = sum(row["memory_id"] in ids for row in self._in_files(owner.tenant_id))
        if left:
            raise LakehopError(
                f"{left} rows of what was to be forgotten lie in files that a writer left when it was killed. "
                "No reader sees them; the DAG `maintenance` deletes such files after LAKEHOP_VACUUM_HOURS."
            )
        return Forgotten(len(deleted), purged, left)

    def _in_files(self, tenant_id: str) -> list[dict[str, Any]]:
        return rows_in_files(self._settings, MEMORIES, tenant_id, ("memory_id",))

    def _readable(self, tenant_id: str, groups: Sequence[str], entries: Sequence[Memory]) -> list[Memory]:
        """Notes, and answers whose chunks all exist and may be read."""
        wanted = {chunk_id for entry in entries for chunk_id in entry.chunk_ids}
        allowed = set(self._acl.allowed_keys(tenant_id, groups))
        readable = {row["chunk_id"] for row in self._chunks(tenant_id, wanted) if row["acl_key"] in allowed}
        return [entry for entry in entries if readable.issuperset(entry.chunk_ids)]

    def _chunks(self, tenant_id: str, chunk_ids: set[str]) -> list[dict[str, Any]]:
        if not chunk_ids:
            return []
        where: list[Filter] = [("tenant_id", "=", tenant_id), ("chunk_id", "in", sorted(chunk_ids))]
        return read_rows(self._settings, CHUNKS, where, ("chunk_id", "source", "doc_id", "acl_key"))

    def _stored(self, owner: Owner) -> list[Memory]:
        again = Retrying(
            retry=retry_if_exception_type(LakehopError), stop=stop_after_attempt(_READ_ATTEMPTS), reraise=True
        )
        return [_memory(row) for row in again(read_rows, self._settings, MEMORIES, owner.filters())]

    def _entry(self, owner: Owner, memory_id: str) -> Memory:
        for entry in self._stored(owner):
            if entry.memory_id == memory_id:
                return entry
        raise NotFound(f"memory {memory_id[:80]!r}: this user has none of that id. List the entries.")

    def _check_not_full(self, owner: Owner) -> None:
        if len(self._stored(owner)) >= MAX_ENTRIES:
            raise InvalidInput(
                f"memory of user {owner.user_id[:40]!r}: holds {MAX_ENTRIES} entries, as many as it may. Forget some; "
                "knowledge for all users belongs into the corpus."
            )

    def _new(self, owner: Owner, memory_id: str, kind: Literal["note", "answer"], text: str, **more: Any) -> Memory:
        now = datetime.now(UTC)
        assert owner.app is not None
        given = {"question": None, "task_id": None, "chunk_ids": (), "sources": (), "doc_ids": ()} | more
        expires_at = now + timedelta(days=self._settings.memory_days)
        return Memory(
            memory_id=memory_id, app=owner.app, user_id=owner.user_id, kind=kind, text=text, version=1,
            created_at=now, written_at=now, expires_at=expires_at, **given,
        )  # fmt: skip


def _check_text(text: str) -> str:
    text = text.strip()
    if not 1 <= len(text) <= MAX_CHARACTERS:
        raise InvalidInput(f"text {text[:20]!r}: must have 1 to {MAX_CHARACTERS:,} characters. Shorten it.")
    return text


def _row(tenant_id: str, entry: Memory) -> dict[str, Any]:
    lists = {name: list(getattr(entry, name)) for name in ("chunk_ids", "sources", "doc_ids")}
    return vars(entry) | lists | {"tenant_id": tenant_id}


def _memory(row: dict[str, Any]) -> Memory:
    lists = {name: tuple(row[name]) for name in ("chunk_ids", "sources", "doc_ids")}
    return Memory(**{name: value for name, value in row.items() if name != "tenant_id"} | lists)
