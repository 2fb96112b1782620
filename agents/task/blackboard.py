"""The memory that the sub-tasks of one task share: typed entries with author, version and provenance.

A writer names the version that it has read, and a stale write is refused: two writers of one entry lose nothing. Each
write is a step of the task, so that the trace holds the history.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from agents.answer import PassageRef, Step
from agents.task.purpose import sub_task

MAX_ENTRIES = 64  # a dozen sub-tasks, each with a finding and a review, over a few rounds
MAX_CHARACTERS = 2_000  # of one entry: what two passages hold
_KEY = re.compile(r"[\w.-]{1,64}")

Kind = Literal["plan", "finding", "review", "disagreement", "debate", "answer"]


class StaleEntry(Exception):
    """Another sub-task wrote the entry after it was read. Read it again, then decide anew."""


class BoardFull(Exception):
    """The entry is too large, has a wrong key, or is one too many; the text says which."""


@dataclass(frozen=True)
class Entry:
    """A plan, finding or decision of the task. `version` counts from 1; `provenance`: passages that support it."""

    key: str
    kind: Kind
    author: str
    text: str
    version: int
    provenance: tuple[PassageRef, ...] = ()


class Blackboard:
    """One per task, on its event loop. A writer waits until `on_write` has taken the step of its entry."""

    def __init__(self, on_write: Callable[[Step], Awaitable[None]]) -> None:
        self._entries: dict[str, Entry] = {}
        self._on_write = on_write

    def read(self, key: str) -> Entry | None:
        """The newest version of an entry; None without any."""
        return self._entries.get(key)

    def entries(self, *kinds: Kind) -> list[Entry]:
        """Newest versions of all entries, or of these kinds, in the order in which their keys were first written."""
        return [entry for entry in self._entries.values() if not kinds or entry.kind in kinds]

    async def write(
        self,
        key: str,
        kind: Kind,
        text: str,
        *,
        author: str,
        read_version: int = 0,
        provenance: Sequence[PassageRef] = (),
    ) -> Entry:
        """Write the next version of an entry; `read_version` is the version read before, 0 for a new entry.

        Raises StaleEntry, BoardFull.
        """
        before = self._entries.get(key)
        version = before.version if before else 0
        if version != read_version:
            raise StaleEntry(f"entry {key!r}: version {read_version} was read, {version} is there. Read it again.")
        if not _KEY.fullmatch(key):
            raise BoardFull(f"key {key[:20]!r}: 1 to 64 letters, digits, '.', '_' or '-'. Choose such a key.")
        if len(text) > MAX_CHARACTERS:
            raise BoardFull(f"entry {key!r}: {len(text):,} characters, at most {MAX_CHARACTERS:,}. Shorten it.")
        if not before and len(self._entries) >= MAX_ENTRIES:
            raise BoardFull(f"entry {key!r}: the board holds {MAX_ENTRIES} entries, as many as it may. Overwrite one.")
        entry = Entry(key, kind, author, text, version + 1, tuple(provenance))
        self._entries[key] = entry
        await self._on_write(
            Step(
                kind="note",
                sub_task=sub_task.get(),
                agent=author,
                hop=0,
                query=f"{kind} {key} v{entry.version}",
                output=text,
                passages=list(provenance),
                latency_ms=0.0,
            )
        )
        return entry
