"""The ground of one task: caller, budget, journal and records. Searching, memory, tools and model calls stand on it.

Tenant and groups come from here alone. A model cannot name them: no program and no tool takes them as an argument.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

from agents.answer import OnEvent
from agents.task.actions import Action, Done
from agents.task.budget import Budget
from agents.task.dependencies import Dependencies
from agents.task.journal import Journal, T, new_task_id
from agents.task.loops import LoopDetector
from agents.task.recorder import Recorder, TaskLabels
from agents.tools.contract import Trust
from lakehouse.access.permissions import Caller
from lakehouse.index.search_filters import SearchFilters


class TaskContext:
    """Lives on one event loop, from the question to the answer."""

    def __init__(
        self,
        deps: Dependencies,
        caller: Caller,
        budget: Budget,
        *,
        program: str,
        program_version: str,
        on_event: OnEvent | None = None,
        journal: Journal | None = None,
        id: str | None = None,
        filters: SearchFilters | None = None,
    ) -> None:
        self.id = id or new_task_id()
        self.deps = deps
        self.caller = caller
        self.filters = filters
        """What the asker narrowed the documents to; every search and every read of a document keeps to it."""
        self.budget = budget
        self.journal = journal or Journal()
        self.loops = LoopDetector()
        labels = TaskLabels(self.id, caller, program, program_version)
        self.recorder = Recorder(labels, deps.spool, deps.prices, deps.settings.llm_model, self.once, on_event)
        self.has_read_strangers = False
        """Whether text that strangers wrote is in the task. From then on no tool with side effects may be called."""

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work, or give its result from before the process died; the task's clock goes on from there."""

        async def timed() -> tuple[T, float]:
            return await work(), self.budget.elapsed_s

        result, elapsed_s = await self.journal.once(name, timed)
        self.budget.catch_up(elapsed_s)
        return result

    async def act(self, action: Action, work: Callable[[], Awaitable[None]], *, trust: Trust = "ours") -> Done:
        """Do the work that fills in an action, once and on record. `trust` "strangers": others wrote its result."""
        done = await self.recorder.act(action, work)
        if trust == "strangers" and not done.failure and (done.passages or done.step.output):
            self.has_read_strangers = True
        return done

    def worst_usd(self, prompt_bytes: int, max_tokens: int) -> Decimal:
        """The most that a model call can cost: no tokenizer makes more tokens than there are bytes."""
        deps = self.deps
        return deps.prices.cost(deps.settings.llm_model, datetime.now(UTC), prompt_bytes, 0, max_tokens).usd
