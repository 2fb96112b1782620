"""What a task leaves behind: a call record on disk for each action, a step in its answer, an event for who listens.

The order is always the same: the record is on disk, what came of the action is in the task's journal, the step is
shown, the result is used.
"""

import asyncio
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from agents.answer import Event, OnEvent, PassageRef, Step, Usage
from agents.task.journal import Once
from agents.task.purpose import sub_task
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import CallRecord, Spool
from lakehouse.costs.prices import Prices
from lakehouse.index.passages import Passage

_TOKENS = ("input_tokens", "cached_tokens", "output_tokens")
_OPERATIONS = {"search": "retrieval", "tool": "execute_tool", "chat": "chat"}


@dataclass
class Action:
    """A search, a tool call or a model call under way; whoever makes it fills in what came of it."""

    kind: Literal["search", "tool", "chat"]
    agent: str
    hop: int
    query: str | None = None
    attempt: int = 1
    usd: Decimal = Decimal(0)
    output: str | None = None
    read: tuple[PassageRef, ...] = ()
    """What a model call was shown."""
    passages: tuple[Passage, ...] = ()
    """What a search or a tool found."""
    empty: bool = False
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    over: bool = False
    """Its work has ended; what is left is to write its record."""
    beaten: bool = False
    """Another attempt at the same has ended first: this one is cancelled, and its cost counts all the same."""


class Beaten(Exception):
    """Another attempt ended first."""


@dataclass(frozen=True)
class Attempt:
    """An action, and what fills it in."""

    action: Action
    work: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Done:
    """What came of an action. It pickles, for a durable task keeps it."""

    step: Step
    passages: tuple[Passage, ...] = ()
    empty: bool = False
    failure: Exception | None = None


class Recorder:
    """The steps of one task, and what they cost; on the task's event loop."""

    def __init__(
        self,
        once: Once,
        task_id: str,
        caller: Caller,
        program: str,
        program_version: str,
        spool: Spool,
        prices: Prices,
        model: str,
        on_event: OnEvent | None,
    ) -> None:
        self.steps: list[Step] = []
        self.usage = Usage()
        self._task_id = task_id
        self._caller = caller
        self._program = program
        self._program_version = program_version
        self._spool = spool
        self._prices = prices
        self._model = model
        self._on_event = on_event
        self._once = once

    async def act(self, action: Action, work: Callable[[], Awaitable[None]]) -> Done:
        """Do what fills in the action, once; count, show and return what came of it, a failure too."""
        done = await self._once(action.agent, lambda: self._recorded(action, work))
        await self._book(done)
        return done

    async def act_in_time(
        self, attempt: Attempt, patience_s: float | None, again: Callable[[], Attempt | None]
    ) -> list[Done]:
        """The same; once patience is at its end, `again` as well, if it gives one. The last of the list counts."""
        all_done = await self._once(attempt.action.agent, lambda: self._raced(attempt, patience_s, again))
        for done in all_done:
            await self._book(done)
        return all_done

    async def _raced(
        self, attempt: Attempt, patience_s: float | None, again: Callable[[], Attempt | None]
    ) -> list[Done]:
        running = {asyncio.create_task(self._recorded(attempt.action, attempt.work)): attempt.action}
        all_done: list[Done] = []
        try:
            await asyncio.wait(running, timeout=patience_s)
            if not attempt.action.over and (second := again()):
                running[asyncio.create_task(self._recorded(second.action, second.work))] = second.action
            while running:
                ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    del running[task]
                    done = task.result()
                    all_done.append(done)
                    if not done.failure:
                        for slower, action in running.items():
                            if not action.over:
                                action.beaten = True
                                slower.cancel()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return sorted(all_done, key=lambda done: done.failure is None)

    async def _book(self, done: Done) -> None:
        """Count what an action took, and show it."""
        step, used = done.step, self.usage
        self.usage = Usage(
            calls=used.calls + (step.kind == "chat"),
            usd=used.usd + step.usd,
            **{name: getattr(used, name) + getattr(step, name) for name in _TOKENS},
        )
        await self.add(step)

    async def _recorded(self, action: Action, work: Callable[[], Awaitable[None]]) -> Done:
        """Measure and price the work; it returns when its record is on disk, however the work ends."""
        started_at, clock = datetime.now(UTC), time.perf_counter()
        failure: Exception | None = None
        cancelled: BaseException | None = None
        try:
            await work()
        except Exception as error:
            failure = error
        except BaseException as error:  # a cancelled call has its cost, too
            if action.beaten:
                failure = Beaten("another attempt ended first")
            else:
                cancelled = error
        action.over = True
        latency_ms = (time.perf_counter() - clock) * 1000
        measured: dict[str, Any] = {
            "agent": action.agent,
            "hop": action.hop,
            "started_at": started_at,
            "attempt": action.attempt,
            "latency_ms": latency_ms,
            "error": one_line(ended) if (ended := failure or cancelled) else None,
        } | {name: getattr(action, name) for name in _TOKENS}
        priced: dict[str, Any] = {}
        if action.kind == "chat":
            cost = self._prices.cost(self._model, started_at, *(getattr(action, name) for name in _TOKENS))
            priced = {"model": self._model, "saved_usd": cost.saved_usd, "price_from": cost.price_from}
            action.usd = cost.usd
        await self._write(
            operation=_OPERATIONS[action.kind],
            usd=action.usd,
            **priced,
            **measured,
        )
        if cancelled:
            raise cancelled
        read = [*action.read, *map(PassageRef.of, action.passages)]
        step = Step(
            kind=action.kind,
            sub_task=sub_task.get(),
            query=action.query,
            output=action.output,
            passages=read,
            usd=action.usd,
            **measured,
        )
        return Done(step, action.passages, action.empty, failure)

    async def finished(self, outcome: str, why: str | None, started_at: datetime, latency_ms: float) -> None:
        """Record the task itself: its calls carry the money, so it carries none."""
        await self._write(
            call_id=f"call_{self._task_id}",  # one, though the task be ended twice, by two processes
            operation="invoke_agent",
            agent=self._program,
            hop=0,
            started_at=started_at,
            latency_ms=latency_ms,
            outcome=outcome,
            error=why,
        )

    async def add(self, step: Step) -> None:
        """Put a step into the trace and tell who listens."""
        self.steps.append(step)
        if self._on_event:
            await self.emit("step", step.model_dump(mode="json"))

    async def emit(self, kind: Literal["step", "token", "citation", "usage"], data: dict[str, Any]) -> None:
        """Send an event to whoever listens; waits, so that a slow listener slows the task and fills no memory."""
        if self._on_event:
            waiting = self._on_event(Event(kind, data))
            if inspect.isawaitable(waiting):
                await waiting

    async def _write(
        self, *, call_id: str | None = None, error: str | None = None, outcome: str | None = None, **measured: Any
    ) -> None:
        record = CallRecord(
            call_id=call_id or f"call_{uuid.uuid4().hex}",
            task_id=self._task_id,
            tenant_id=self._caller.tenant_id,
            user_id=self._caller.user_id,
            app=self._caller.app,
            key_id=self._caller.key_id,
            program=self._program,
            program_version=self._program_version,
            sub_task=sub_task.get(),
            outcome=outcome or ("error" if error else "ok"),
            error=error,
            **measured,
        )
        # Shielded: a client that hangs up cancels the task, and what it spent must be written all the same.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._spool.append, record))


def one_line(error: BaseException) -> str:
    """An error for a record: its kind and what it says, shortened."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
