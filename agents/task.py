"""One question being answered: on whose behalf, within which budget, what was done so far, and the record of each.

Everything that a program does to the world goes through its task: searching, calculating, and (in `agents.engine`)
calling the model. That is why tenant and groups cannot come from a model: a program has no way to name them. Each
action is on disk as a call record before its result is used.
"""

import asyncio
import inspect
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import dspy

from agents.answer import Citation, Event, OnEvent, PassageRef, Step, Usage
from agents.budget import Budget, BudgetReached
from agents.tools import ToolFailed, calculate
from lakehouse.index import Mode, Passage
from lakehouse.permissions import Caller
from lakehouse.prices import Prices
from lakehouse.records import CallRecord, Spool
from lakehouse.retrieval import Retriever
from lakehouse.settings import Settings

QUERY_CHARACTERS = 1_000  # the embedding model reads 256 tokens of a query; more is only slower
LOOK_UP_DEPTH = 10  # passages among which a name's own are looked for; with 30 no more were found


@dataclass(frozen=True)
class Dependencies:
    """What the agents stand on; made once a process and shared by its tasks."""

    settings: Settings
    retriever: Retriever
    spool: Spool
    prices: Prices


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


class Task:
    """Lives on one event loop, from the question to the answer."""

    def __init__(
        self,
        deps: Dependencies,
        caller: Caller,
        *,
        program: str,
        program_version: str,
        budget: Budget,
        max_hops: int = 1,
        on_event: OnEvent | None = None,
    ) -> None:
        self.id = f"task_{uuid.uuid4().hex}"
        self.caller = caller
        self.budget = budget
        self.max_hops = max_hops
        self.steps: list[Step] = []
        self.usage = Usage()
        self.best_answer = ""
        self.citations: list[Citation] = []
        self._deps = deps
        self._program = program
        self._program_version = program_version
        self._on_event = on_event

    async def search(self, query: str, *, hop: int, k: int, mode: Mode = "hybrid") -> list[Passage]:
        """Passages that the asker may read, best first; none when nothing fits. Raises NotFound, Unavailable."""
        query = query[:QUERY_CHARACTERS]
        return await self._retrieve("search", query, hop, lambda: self._find(query, k, mode))

    async def look_up(self, names: Sequence[str], about: str, *, hop: int) -> list[Passage]:
        """For each name that is a document's title, the passage of that document that fits `about` best."""
        query = f"{', '.join(names)}: {about}"[:QUERY_CHARACTERS]
        return await self._retrieve("look_up", query, hop, lambda: self._find_named(names, about[:QUERY_CHARACTERS]))

    async def calculate(self, expression: str, *, hop: int) -> str | None:
        """The value of a sum, by the calculator tool; None when it is not one."""
        started_at, clock = datetime.now(UTC), time.perf_counter()
        value: str | None = None
        error: str | None = None
        try:
            value = calculate(expression)
        except ToolFailed as failure:
            error = one_line(failure)
        measured: dict[str, Any] = {
            "started_at": started_at,
            "latency_ms": (time.perf_counter() - clock) * 1000,
            "error": error,
        }
        await self._record(operation="execute_tool", agent="calculate", hop=hop, **measured)
        await self._add(
            Step(
                kind="tool",
                agent="calculate",
                hop=hop,
                query=expression,
                output=value,
                latency_ms=measured["latency_ms"],
                error=error,
            )
        )
        return value

    async def called_model(self, call: ModelCall) -> None:
        """Price, record and count one attempt; returns when its record is on disk."""
        model = self._deps.settings.llm_model
        cost = self._deps.prices.cost(model, call.started_at, call.input_tokens, call.cached_tokens, call.output_tokens)
        self.budget.charge(cost.usd)
        self.usage = Usage(
            calls=self.usage.calls + 1,
            input_tokens=self.usage.input_tokens + call.input_tokens,
            cached_tokens=self.usage.cached_tokens + call.cached_tokens,
            output_tokens=self.usage.output_tokens + call.output_tokens,
            usd=self.usage.usd + cost.usd,
        )
        await self._record(
            operation="chat",
            agent=call.agent,
            hop=call.hop,
            started_at=call.started_at,
            latency_ms=call.latency_ms,
            model=model,
            input_tokens=call.input_tokens,
            cached_tokens=call.cached_tokens,
            output_tokens=call.output_tokens,
            usd=cost.usd,
            saved_usd=cost.saved_usd,
            price_from=cost.price_from,
            attempt=call.attempt,
            error=call.error,
        )
        await self._add(
            Step(
                kind="chat",
                agent=call.agent,
                hop=call.hop,
                output=call.text,
                passages=list(call.passages),
                input_tokens=call.input_tokens,
                cached_tokens=call.cached_tokens,
                output_tokens=call.output_tokens,
                usd=cost.usd,
                latency_ms=call.latency_ms,
                error=call.error,
            )
        )

    async def finished(self, outcome: str, error: BaseException | None, started_at: datetime) -> None:
        """Record the task itself: its calls carry the money, so it carries none."""
        await self._record(
            operation="invoke_agent",
            agent=self._program,
            hop=0,
            started_at=started_at,
            latency_ms=self.budget.elapsed_s * 1000,
            outcome=outcome,
            error=one_line(error) if error else None,
        )

    def propose(self, answer: str, citations: Sequence[Citation]) -> None:
        """What the task would answer if it had to stop now."""
        self.best_answer = answer
        self.citations = list(citations)

    async def emit(self, kind: Literal["step", "token", "citation", "usage"], data: dict[str, Any]) -> None:
        """Send an event to whoever listens; waits, so that a slow listener slows the task and fills no memory."""
        if self._on_event:
            waiting = self._on_event(Event(kind, data))
            if inspect.isawaitable(waiting):
                await waiting

    def worst_usd(self, prompt_bytes: int, max_tokens: int) -> Decimal:
        """The most that a call can cost: no tokenizer makes more tokens than there are bytes."""
        model = self._deps.settings.llm_model
        return self._deps.prices.cost(model, datetime.now(UTC), prompt_bytes, 0, max_tokens).usd

    async def _retrieve(self, agent: str, query: str, hop: int, find: Callable[[], list[Passage]]) -> list[Passage]:
        """Run a search beside the event loop; its record is on disk before its passages are used."""
        started_at, clock = datetime.now(UTC), time.perf_counter()
        passages: list[Passage] = []
        error: str | None = None
        try:
            async with asyncio.timeout(self.budget.seconds_left()):
                passages = await asyncio.to_thread(find)
        except TimeoutError as failure:
            error = one_line(failure)
            raise BudgetReached("max_seconds was used up while searching") from None
        except BaseException as failure:  # a cancelled search was none that went well
            error = one_line(failure)
            raise
        finally:
            measured: dict[str, Any] = {
                "started_at": started_at,
                "latency_ms": (time.perf_counter() - clock) * 1000,
                "error": error,
            }
            await self._record(operation="retrieval", agent=agent, hop=hop, **measured)
        await self._add(
            Step(
                kind="search",
                agent=agent,
                hop=hop,
                query=query,
                passages=[reference(passage) for passage in passages],
                latency_ms=measured["latency_ms"],
            )
        )
        return passages

    def _find(self, query: str, k: int, mode: Mode) -> list[Passage]:
        return self._deps.retriever.search(self.caller.tenant_id, self.caller.groups, query, k=k, mode=mode)

    def _find_named(self, names: Sequence[str], about: str) -> list[Passage]:
        """By words alone: a name is spelled out, and a lexical search takes a few milliseconds."""
        found = []
        for name in names:
            passages = self._find(f"{name} {about}", LOOK_UP_DEPTH, "lexical")
            found += [passage for passage in passages if passage.title.lower() == name.lower()][:1]
        return found

    async def _add(self, step: Step) -> None:
        self.steps.append(step)
        await self.emit("step", step.model_dump(mode="json"))

    async def _record(self, *, error: str | None = None, outcome: str | None = None, **measured: Any) -> None:
        record = CallRecord(
            call_id=f"call_{uuid.uuid4().hex}",
            task_id=self.id,
            tenant_id=self.caller.tenant_id,
            user_id=self.caller.user_id,
            app=self.caller.app,
            key_id=self.caller.key_id,
            program=self._program,
            program_version=self._program_version,
            outcome=outcome or ("error" if error else "ok"),
            error=error,
            **measured,
        )
        # Shielded: a client that hangs up cancels the task, and what it spent must be written all the same.
        await asyncio.shield(asyncio.to_thread(self._deps.spool.append, record))


def current_task() -> Task:
    """The task that the running program serves; it travels in `dspy.context`, which DSPy carries everywhere."""
    task = dspy.settings.get("task")
    if not isinstance(task, Task):
        raise RuntimeError("a program runs inside a task: call Agents.ask, or enter dspy.context(task=…)")
    return task


def reference(passage: Passage) -> PassageRef:
    """A passage's name without its text."""
    return PassageRef(doc_id=passage.doc_id, chunk_id=passage.chunk_id, title=passage.title)


def one_line(error: BaseException) -> str:
    """An error for a record: its kind and what it says, shortened."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
