"""What is remembered for a user from one task to the next: notes in the user's own words, and answers with their proof.

It stands in the lakehouse and is written there at once, not through the spool: of two writers one must be refused, and
only the table is where all gateways meet; whoever wrote then reads it at once, at any of them. A write takes some 0.2 s
and there are few of them. Text is data of that user in that app; it is never shown to another, and rests on documents
that the reader may still read, or is not shown at all.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from lakehouse.access.permissions import AclDirectory, Caller, check_tenant
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

MAX_ENTRIES = 100  # of one user: more is a document, and belongs into the corpus
MAX_CHARACTERS = 2_000
_READS = 3  # a file that was being read may be purged by who forgets something else


@dataclass(frozen=True)
class Owner:
    """Whose memory it is. `app` None: of that user in any app, for operators."""

    tenant_id: str
    app: str | None
    user_id: str

    def __post_init__(self) -> None:
        check_tenant(self.tenant_id)
        if not 1 <= len(self.user_id) <= 256:
            raise InvalidInput(f"user {self.user_id[:40]!r}: must have 1 to 256 characters. Name who asks.")

    @classmethod
    def of(cls, caller: Caller) -> "Owner":
        """The caller's own. Raises InvalidInput where the app names no user."""
        if not caller.user_id:
            raise InvalidInput("user: missing. Memory is a user's: name who asks, as the app knows them.")
        return cls(caller.tenant_id, caller.app, caller.user_id)

    def filters(self) -> list[Filter]:
        mine: list[Filter] = [("tenant_id", "=", self.tenant_id), ("user_id", "=", self.user_id)]
        return mine if self.app is None else [*mine, ("app", "=", self.app)]


@dataclass(frozen=True)
class Forgotten:
    """What was forgotten, and the proof: `rows_left` is what a reading of all files still found."""

    entries: int
    files_purged: int
    rows_left: int


@dataclass(frozen=True)
class Memory:
    """One entry. `chunk_ids` and `doc_ids`: what an answer rests on; empty for a note."""

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
    """Reads and writes the table; safe to share between threads. Every method blocks for tenths of a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._acl = AclDirectory(settings)

    def note(self, owner: Owner, text: str) -> Memory:
        """Remember the user's own words. Raises InvalidInput for a text or a memory that is too large."""
        entry = self._new(owner, f"mem_{uuid.uuid4().hex}", "note", _checked(text))
        self._check_room(owner)
        append(self._settings, MEMORIES, [_row(owner.tenant_id, entry)])
        return entry

    def answer(
        self, owner: Owner, groups: Sequence[str], *, question: str, answer: str, task_id: str, chunk_ids: Iterable[str]
    ) -> Memory | None:
        """Remember what a task answered from these chunks; None where one of them is gone, or there were none.

        A task has one entry, however often it is written.
        """
        known = self._chunks(owner.tenant_id, set(chunk_ids))
        allowed = self._acl.allowed_keys(owner.tenant_id, groups)
        if not known or not set(chunk_ids) <= {row["chunk_id"] for row in known if row["acl_key"] in allowed}:
            return None
        rests_on = {
            "chunk_ids": tuple(row["chunk_id"] for row in known),
            "sources": tuple(row["source"] for row in known),
            "doc_ids": tuple(row["doc_id"] for row in known),
        }
        entry = self._new(
            owner, f"mem_{task_id}", "answer", answer[:MAX_CHARACTERS],
            question=question[:MAX_CHARACTERS], task_id=task_id, **rests_on,
        )  # fmt: skip
        self._check_room(owner)
        upsert(self._settings, MEMORIES, [_row(owner.tenant_id, entry)])
        return entry

    def rewrite(self, owner: Owner, memory_id: str, text: str, read_version: int) -> Memory:
        """Write a note anew whose version `read_version` was read. Raises NotFound, StaleWrite, InvalidInput."""
        text = _checked(text)
        before = self._one(owner, memory_id)
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
        """What a member of the groups may see of it, newest first. `groups` None: all, for operators."""
        now = datetime.now(UTC)
        found = [entry for entry in self._stored(owner) if entry.expires_at > now]
        if groups is not None:
            found = self._readable(owner.tenant_id, groups, found)
        return sorted(found, key=lambda entry: entry.written_at, reverse=True)

    def forget(self, owner: Owner, memory_id: str | None = None) -> Forgotten:
        """Forget one entry, or all, for good: rows, then the files that held them, then the proof.

        Expired and unreadable ones go as well. Raises NotFound for an entry that there is not, LakehopError when
        something is left after all.
        """
        stored = self._stored(owner)
        going = stored if memory_id is None else [self._one(owner, memory_id)]
        ids = {entry.memory_id for entry in going}
        delete(self._settings, MEMORIES, [_row(owner.tenant_id, entry) for entry in going])
        purged = purge_deleted(self._settings, MEMORIES)
        left = sum(row["memory_id"] in ids for row in self._in_files(owner.tenant_id))
        if left:
            raise LakehopError(
                f"{left} rows of what was to be forgotten lie in files that a writer left when it was killed. They are "
                "seen by nobody; the DAG `maintenance` deletes such files after LAKEHOP_VACUUM_HOURS."
            )
        return Forgotten(len(going), purged, left)

    def _in_files(self, tenant_id: str) -> list[dict[str, Any]]:
        return rows_in_files(self._settings, MEMORIES, tenant_id, ("memory_id",))

    def _readable(self, tenant_id: str, groups: Sequence[str], entries: Sequence[Memory]) -> list[Memory]:
        """Those that rest on nothing, or on chunks that are all still there and may be read."""
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
        for attempt in range(1, _READS + 1):
            try:
                rows = read_rows(self._settings, MEMORIES, owner.filters())
                break
            except LakehopError:
                if attempt == _READS:
                    raise
        return [_memory(row) for row in rows]

    def _one(self, owner: Owner, memory_id: str) -> Memory:
        for entry in self._stored(owner):
            if entry.memory_id == memory_id:
                return entry
        raise NotFound(f"memory {memory_id[:80]!r}: this user has none of that id. List them.")

    def _check_room(self, owner: Owner) -> None:
        if len(self._stored(owner)) >= MAX_ENTRIES:
            raise InvalidInput(
                f"memory of user {owner.user_id[:40]!r}: holds {MAX_ENTRIES} entries, as many as it may. Forget some; "
                "what all may know belongs into the corpus."
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


def _checked(text: str) -> str:
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
