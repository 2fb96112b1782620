"""Heartbeats of executors: a count in the database that rises while its executor lives. No two clocks are compared."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa

from lakehouse.storage.database import Database
from lakehouse.storage.relational_tables import EXECUTORS, insert_into


@dataclass
class Heartbeat:
    """The count of one executor, and what it has seen of the others. Its methods block."""

    database: Database
    executor_id: str
    silent_s: float
    """An executor is silent when its count has not risen for so long, seconds by this process's clock."""
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    _living: set[str] = field(default_factory=set)

    def beat(self) -> None:
        """Say that this executor lives."""
        with self.database.write() as connection:
            insert = insert_into(EXECUTORS, connection.dialect.name)
            beat = insert.on_conflict_do_update(
                index_elements=[EXECUTORS.c.executor_id], set_={"beats": EXECUTORS.c.beats + 1}
            )
            connection.execute(beat, {"executor_id": self.executor_id, "beats": 1})

    def end(self, executor_ids: Collection[str]) -> None:
        """Delete the counts of executors that are gone."""
        # Skip a row that a frozen process holds in the middle of its beat: waiting for it would stop our own beat.
        gone = sa.select(EXECUTORS.c.executor_id).where(EXECUTORS.c.executor_id.in_(executor_ids))
        free = gone.with_for_update(skip_locked=True)
        with self.database.write() as connection:
            connection.execute(sa.delete(EXECUTORS).where(EXECUTORS.c.executor_id.in_(free)))

    def silent(self, executor_ids: Collection[str]) -> set[str]:
        """The silent executors among these and all that have a count."""
        with self.database.read() as connection:
            counts = {row.executor_id: int(row.beats) for row in connection.execute(sa.select(EXECUTORS))}
        now, silent = time.monotonic(), set()
        for executor_id in {*executor_ids, *counts} - {self.executor_id}:
            count = counts.get(executor_id, 0)
            before, since = self._seen.get(executor_id, (None, now))
            self._seen[executor_id] = (count, since if count == before else now)
            if count == before and now - since >= self.silent_s:
                silent.add(executor_id)
        self._living = {*counts, self.executor_id} - silent
        return silent

    def leads(self) -> bool:
        """Whether this executor has the smallest id of those that live: only it takes over tasks, so never two do."""
        return self.executor_id == min(self._living)
