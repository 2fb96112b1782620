"""What a task leaves behind: a call record on disk for each action, a step in its answer, an event for who listens.

The order is always the same: the record is on disk before the step is shown, and both before the result is used.
"""

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from agents.answer import Event, OnEvent, PassageRef, Step, Usage
from agents.plan import current_sub_task
from lakehouse.index import Passage
from lakehouse.permissions import Caller
from lakehouse.prices import Prices
from lakehouse.records import CallRecord, Spool


@dataclass(frozen=True)
class ModelCall:
    """What is known of one attempt to call the model, whether it came off or not."""

    agent: str
    hop: int
    passages: tuple[PassageRef, ...]
    started_at: datetime
    latency_ms: float
    attempt: int
    text: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    error: str | None


@dataclass
class Action:
    """A search or a tool call; whoever makes it fills in what came of it."""

    kind: Literal["search", "tool"]
    agent: str
    hop: int
    query: str
    attempt: int = 1
    usd: Decimal = Decimal(0)
    output: str | None = None
    passages: Sequence[Passage] = field(default=())
    error: str | None = None


class Recorder:
    """The steps of one task, and what they cost; on the task's event loop."""

    def __init__(
        self,
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

    @asynccontextmanager
    async def action(self, action: Action) -> AsyncIterator[Action]:
        """Measure and record what is done inside. An exception that comes out of it leaves a record and no step."""
        started_at, clock = datetime.now(UTC), time.perf_counter()
        latency_ms = 0.0
        try:
            yield action
        except BaseException as failure:  # a cancelled search was none that went well
            action.error = one_line(failure)
            raise
        finally:
            latency_ms = (time.perf_counter() - clock) * 1000
            await self._write(
                operation="retrieval" if action.kind == "search" else "execute_tool",
                agent=action.agent,
                hop=action.hop,
                started_at=started_at,
                latency_ms=latency_ms,
                usd=action.usd,
                attempt=action.attempt,
                error=action.error,
            )
        self.usage = self.usage.model_copy(update={"usd": self.usage.usd + action.usd})
        await self.add(
            Step(
                kind=action.kind,
                agent=action.agent,
                hop=action.hop,
                started_at=started_at,
                attempt=action.attempt,
                query=action.query,
                output=action.output,
                passages=[reference(passage) for passage in action.passages],
                usd=action.usd,
                latency_ms=latency_ms,
                error=action.error,
            )
        )

    async def called_model(self, call: ModelCall) -> Decimal:
        """Price, count and record one attempt; returns what it cost when its record is on disk."""
        tokens: dict[str, Any] = {
            "input_tokens": call.input_tokens,
            "cached_tokens": call.cached_tokens,
            "output_tokens": call.output_tokens,
        }
        cost = self._prices.cost(self._model, call.started_at, *tokens.values())
        counted = {name: getattr(self.usage, name) + count for name, count in tokens.items()}
        self.usage = Usage(calls=self.usage.calls + 1, usd=self.usage.usd + cost.usd, **counted)
        shared: dict[str, Any] = {
            "agent": call.agent,
            "hop": call.hop,
            "started_at": call.started_at,
            "attempt": call.attempt,
            "usd": cost.usd,
            "latency_ms": call.latency_ms,
            "error": call.error,
        }
        await self._write(
            operation="chat",
            model=self._model,
            saved_usd=cost.saved_usd,
            price_from=cost.price_from,
            **shared,
            **tokens,
        )
        await self.add(Step(kind="chat", output=call.text, passages=list(call.passages), **shared, **tokens))
        return cost.usd

    async def finished(self, outcome: str, why: str | None, started_at: datetime, latency_ms: float) -> None:
        """Record the task itself: its calls carry the money, so it carries none."""
        await self._write(
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
        await self.emit("step", step.model_dump(mode="json"))

    async def emit(self, kind: Literal["step", "token", "citation", "usage"], data: dict[str, Any]) -> None:
        """Send an event to whoever listens; waits, so that a slow listener slows the task and fills no memory."""
        if self._on_event:
            waiting = self._on_event(Event(kind, data))
            if inspect.isawaitable(waiting):
                await waiting

    async def _write(self, *, error: str | None = None, outcome: str | None = None, **measured: Any) -> None:
        record = CallRecord(
            call_id=f"call_{uuid.uuid4().hex}",
            task_id=self._task_id,
            tenant_id=self._caller.tenant_id,
            user_id=self._caller.user_id,
            app=self._caller.app,
            key_id=self._caller.key_id,
            program=self._program,
            program_version=self._program_version,
            sub_task=current_sub_task(),
            outcome=outcome or ("error" if error else "ok"),
            error=error,
            **measured,
        )
        # Shielded: a client that hangs up cancels the task, and what it spent must be written all the same.
        await asyncio.shield(asyncio.to_thread(self._spool.append, record))


def reference(passage: Passage) -> PassageRef:
    """A passage's name without its text."""
    return PassageRef(doc_id=passage.doc_id, chunk_id=passage.chunk_id, title=passage.title)


def one_line(error: BaseException) -> str:
    """An error for a record: its kind and what it says, shortened."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
