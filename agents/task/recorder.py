"""The trace of a task: for each action a call record on disk, a step in the answer, an event for listeners.

The order is always the same: write the record, keep the result in the task's journal, show the step, use the result.
"""

import asyncio
import inspect
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from agents.answer import Event, OnEvent, PassageRef, Step, Usage
from agents.task.actions import Action, Attempt, Beaten, Done
from agents.task.journal import Once
from agents.task.purpose import sub_task
from agents.task.race import Race
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import CallRecord, Spool
from lakehouse.costs.prices import Prices

_TOKENS = ("input_tokens", "cached_tokens", "output_tokens")
_OPERATIONS = {"search": "retrieval", "tool": "execute_tool", "chat": "chat"}


@dataclass(frozen=True)
class TaskLabels:
    """Columns that all call records of a task share."""

    task_id: str
    caller: Caller
    program: str
    program_version: str


class Recorder:
    """The steps of one task and their cost; on the task's event loop."""

    def __init__(
        self, labels: TaskLabels, spool: Spool, prices: Prices, model: str, once: Once, on_event: OnEvent | None
    ) -> None:
        self.steps: list[Step] = []
        self.usage = Usage()
        self._labels = labels
        self._spool = spool
        self._prices = prices
        self._model = model
        self._once = once
        self._on_event = on_event

    async def act(self, action: Action, work: Callable[[], Awaitable[None]]) -> Done:
        """Do the work that fills in an action, once; book and return its result, a failure too."""
        done = await self._once(action.agent, lambda: self._recorded(Attempt(action, work)))
        await self._book(done)
        return done

    async def act_hedged(
        self, attempt: Attempt, patience_s: float | None, second: Callable[[], Attempt | None]
    ) -> list[Done]:
        """Do an attempt, and after `patience_s` seconds a second one if `second` gives it. The last result counts."""
        all_done = await self._once(attempt.action.agent, lambda: Race(self._recorded).run(attempt, patience_s, second))
        for done in all_done:
            await self._book(done)
        return all_done

    async def add(self, step: Step) -> None:
        """Put a step into the trace and send it to the listener."""
        self.steps.append(step)
        if self._on_event:
            await self.emit("step", step.model_dump(mode="json"))

    async def emit(self, kind: Literal["step", "token", "citation", "usage"], data: dict[str, Any]) -> None:
        """Send an event to the listener, and wait for it: a slow listener slows the task and fills no memory."""
        if self._on_event:
            waiting = self._on_event(Event(kind, data))
            if inspect.isawaitable(waiting):
                await waiting

    async def record_end(self, outcome: str, why: str | None, started_at: datetime, latency_ms: float) -> None:
        """Record the task itself, without money: its calls carry that."""
        await self._write(
            call_id=f"call_{self._labels.task_id}",  # one, even if two processes end the task
            operation="invoke_agent",
            agent=self._labels.program,
            hop=0,
            started_at=started_at,
            latency_ms=latency_ms,
            outcome=outcome,
            error=why,
        )

    async def _book(self, done: Done) -> None:
        """Add an action to the sums and the trace."""
        step, used = done.step, self.usage
        self.usage = Usage(
            calls=used.calls + (step.kind == "chat"),
            usd=used.usd + step.usd,
            **{name: getattr(used, name) + getattr(step, name) for name in _TOKENS},
        )
        await self.add(step)

    async def _recorded(self, attempt: Attempt) -> Done:
        """Do the work, measure and price it. Returns when the record is on disk, however the work ends."""
        action, started_at, clock = attempt.action, datetime.now(UTC), time.perf_counter()
        error = await _error_of(attempt)
        action.work_ended = True
        measured: dict[str, Any] = {
            "agent": action.agent,
            "hop": action.hop,
            "started_at": started_at,
            "attempt": action.attempt,
            "latency_ms": (time.perf_counter() - clock) * 1000,
            "error": one_line(error) if error else None,
            "usage_source": action.usage_source,
        } | {name: getattr(action, name) for name in _TOKENS}
        await self._write(operation=_OPERATIONS[action.kind], **self._priced(action, started_at), **measured)
        if error is not None and not isinstance(error, Exception):
            raise error
        step = Step(
            kind=action.kind,
            sub_task=sub_task.get(),
            query=action.query,
            output=action.output,
            passages=[*action.reading, *map(PassageRef.of, action.passages)],
            usd=action.usd,
            **measured,
        )
        return Done(step, action.passages, action.empty, error)

    def _priced(self, action: Action, started_at: datetime) -> dict[str, Any]:
        """The record's columns of money. A model call gets its price here."""
        if action.kind != "chat":
            return {"usd": action.usd}
        cost = self._prices.cost(self._model, started_at, *(getattr(action, name) for name in _TOKENS))
        action.usd = cost.usd
        return {
            "usd": cost.usd,
            "model": self._model,
            "saved_usd": cost.saved_usd,
            "price_from": cost.price_from,
        }

    async def _write(
        self, *, call_id: str | None = None, error: str | None = None, outcome: str | None = None, **measured: Any
    ) -> None:
        labels, caller = self._labels, self._labels.caller
        record = CallRecord(
            call_id=call_id or f"call_{uuid.uuid4().hex}",
            task_id=labels.task_id,
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            app=caller.app,
            key_id=caller.key_id,
            program=labels.program,
            program_version=labels.program_version,
            sub_task=sub_task.get(),
            outcome=outcome or ("error" if error else "ok"),
            error=error,
            **measured,
        )
        # Shielded: a client that hangs up cancels the task, and its spend must be written all the same.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._spool.append, record))


async def _error_of(attempt: Attempt) -> BaseException | None:
    """Do an attempt's work. Returns its error, a cancellation too; `Beaten` where a faster attempt cancelled it."""
    try:
        await attempt.work()
    except Exception as error:
        return error
    except BaseException as error:
        return Beaten("another attempt ended first") if attempt.action.beaten else error
    return None


def one_line(error: BaseException) -> str:
    """An error for a record: its class and its text, shortened."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
