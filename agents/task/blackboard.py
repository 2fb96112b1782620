"""The memory that the sub-tasks of one task share: typed entries, each with its author, version and provenance.

Two that write the same entry at the same time must not lose each other's words: whoever writes says which version it
has read, and a stale write is refused. All that is written is a step of the task, so that the trace holds the history.
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


class StaleWrite(Exception):
    """Somebody wrote the entry since it was read. Read it again, then decide anew."""


class BoardFull(Exception):
    """The board takes no entry of that size or no more entries; the text says which."""


@dataclass(frozen=True)
class Entry:
    """One thing known to the task. `version` counts from 1; `provenance`: the passages that it rests on."""

    key: str
    kind: Kind
    author: str
    text: str
    version: int
    provenance: tuple[PassageRef, ...] = ()


class Blackboard:
    """One a task, on its event loop; `on_write` is told of each entry before the writer goes on."""

    def __init__(self, on_write: Callable[[Step], Awaitable[None]]) -> None:
        self._entries: dict[str, Entry] = {}
        self._on_write = on_write

    def read(self, key: str) -> Entry | None:
        """The newest version of an entry; None where nobody wrote it."""
        return self._entries.get(key)

    def entries(self, *kinds: Kind) -> list[Entry]:
        """Newest versions, in the order in which their keys were first written; of some kinds or of all."""
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
        """Write an entry whose version `read_version` (0: none) was read before. Raises StaleWrite, BoardFull."""
        before = self._entries.get(key)
        version = before.version if before else 0
        if version != read_version:
            raise StaleWrite(f"entry {key!r}: version {read_version} was read, {version} is there. Read it again.")
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
