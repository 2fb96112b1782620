"""Attempts at one call, side by side: the first success counts, slower attempts are cancelled, all are recorded."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from agents.task.actions import Action, Attempt, Done


class Race:
    """One call's attempts. `perform` does an attempt and returns when its record is on disk."""

    def __init__(self, perform: Callable[[Attempt], Coroutine[Any, Any, Done]]) -> None:
        self._perform = perform
        self._running: dict[asyncio.Task[Done], Action] = {}
        self._ended: list[Done] = []

    async def run(self, first: Attempt, patience_s: float | None, second: Callable[[], Attempt | None]) -> list[Done]:
        """Do the first attempt; after `patience_s` seconds the second as well, if there is one. The winner comes last.

        None: wait for the first however long it takes. Raises an attempt's error only where no record could be kept.
        """
        try:
            self._start(first)
            await asyncio.wait(self._running, timeout=patience_s)
            if not first.action.work_ended and (attempt := second()):
                self._start(attempt)
            while self._running:
                await self._collect()
        finally:
            await self._stop()
        return sorted(self._ended, key=lambda done: done.failure is None)

    def _start(self, attempt: Attempt) -> None:
        self._running[asyncio.create_task(self._perform(attempt))] = attempt.action

    async def _collect(self) -> None:
        """Wait until an attempt ends. After a success, cancel the others."""
        ended, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            del self._running[task]
            done = task.result()
            self._ended.append(done)
            if not done.failure:
                self._cancel_slower()

    def _cancel_slower(self) -> None:
        for task, action in self._running.items():
            if not action.work_ended:  # else it only writes its record
                action.beaten = True
                task.cancel()

    async def _stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
