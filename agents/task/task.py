"""One question being answered: on whose behalf, within which budget, and what was found so far.

Everything that a program does to the world goes through its task: searching, using tools, and (in `agents.llm.engine`)
calling the model. That is why tenant and groups cannot come from a model: a program has no way to name them. Each
action is allowed by the budget before it begins, and on disk as a call record before its result is used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import dspy

from agents.answer import Citation, OnEvent, Step, Usage
from agents.task.blackboard import Blackboard
from agents.task.budget import Budget, BudgetReached
from agents.task.hedging import Stragglers
from agents.task.journal import Journal, T, new_task_id
from agents.task.loops import LoopDetector
from agents.task.recorder import Action, Recorder, one_line
from agents.task.remembered import recalled
from agents.task.reranking import rerank
from agents.task.tool_calls import ToolRunner
from agents.tools.breaker import Breakers
from agents.tools.builtin import BUILT_IN
from agents.tools.contract import Tool
from agents.tools.mcp.servers import Connected
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.index.index import Mode, Passage
from lakehouse.retrieval.reranking import RERANKED
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import LLM_RERANKER, Settings
from lakehouse.state.memory import Memories, Owner

QUERY_CHARACTERS = 1_000  # the embedding model reads 256 tokens of a query; more is only slower
RECALL = "recall"  # what the reading of a memory is called in steps and records
LOOK_UP_DEPTH = 10  # passages among which a name's own are looked for; with 30 no more were found


class Disagreement(Exception):
    """Documents contradict each other; the text counts them and quotes none."""


@dataclass(frozen=True)
class Dependencies:
    """What the agents stand on; made once a process and shared by its tasks."""

    settings: Settings
    retriever: Retriever
    spool: Spool
    prices: Prices
    tools: tuple[Tool, ...] = BUILT_IN
    breakers: Breakers = field(default_factory=Breakers)
    stragglers: Stragglers = field(default_factory=Stragglers)
    servers: Connected = field(default_factory=Connected)


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
        quorum: int = 1,
        recall: bool = False,
        on_event: OnEvent | None = None,
        journal: Journal | None = None,
        id: str | None = None,
    ) -> None:
        self.id = id or new_task_id()
        self.caller = caller
        self.budget = budget
        self.max_hops = max_hops
        self.quorum = quorum
        # A quorum counts those that say a fact alone.
        self.reads_at_once = deps.settings.passages_at_once if quorum == 1 else 1
        self._recalls = recall
        self.best_answer = ""
        self.citations: list[Citation] = []
        self.loops = LoopDetector()
        self.journal = journal or Journal()
        self.recorder = Recorder(
            self.once,
            self.id,
            caller,
            program,
            program_version,
            deps.spool,
            deps.prices,
            deps.settings.llm_model,
            on_event,
        )
        self.board = Blackboard(self.recorder.add)
        self.tools = ToolRunner(self, deps)
        self.stragglers = deps.stragglers
        self._deps = deps

    @property
    def steps(self) -> list[Step]:
        return self.recorder.steps

    @property
    def usage(self) -> Usage:
        return self.recorder.usage

    async def search(self, query: str, *, hop: int, k: int, mode: Mode | Literal["best"] = "hybrid") -> list[Passage]:
        """Passages that the asker may read, best first; none when nothing fits. Raises NotFound, Unavailable.

        Mode `best` is `multihop` where the tenant's index holds names, and `hybrid` elsewhere.
        """
        query = query[:QUERY_CHARACTERS]
        by_model = self._deps.settings.reranker == LLM_RERANKER
        depth = max(k, RERANKED) if by_model else k
        found = await self._retrieve("search", query, hop, lambda: self._find(query, depth, mode))
        return (await rerank(self, query, found, hop))[:k] if by_model else found

    async def look_up(self, names: Sequence[str], about: str, *, hop: int) -> list[Passage]:
        """For each name that is a document's title, the passage of that document that fits `about` best."""
        query = f"{', '.join(names)}: {about}"[:QUERY_CHARACTERS]
        return await self._retrieve("look_up", query, hop, lambda: self._find_named(names, about[:QUERY_CHARACTERS]))

    async def calculate(self, expression: str, *, hop: int) -> str | None:
        """The value of a sum, by the calculator tool; None when it is not one."""
        seen = await self.tools.call("calculate", {"expression": expression}, hop=hop)
        return seen.text if seen.ok else None

    async def recall(self, question: str) -> str:
        """What is remembered for the asker and may be shown, a line each; "" where the request does not want it.

        It is data, as a passage is: whoever wrote it may have quoted a stranger. Raises Unavailable.
        """
        if not self._recalls:
            return ""
        self.budget.allow_step()
        action = Action("tool", RECALL, 0, "what is remembered for the asker")

        async def read() -> None:
            memories, owner = Memories(self._deps.settings), Owner.of(self.caller)
            action.output = recalled(await asyncio.to_thread(memories.entries, owner, self.caller.groups), question)

        done = await self.recorder.act(action, read)
        if done.failure:
            raise done.failure
        text = done.step.output or ""
        self.tools.read_strangers |= bool(text)
        return text

    async def decided(
        self, agent: str, query: str, value: str | None, passages: Sequence[Passage], counts: str, *, hop: int
    ) -> None:
        """Put into the trace what was decided between documents; `counts`, which quotes none, into its record too."""
        action = Action("tool", agent, hop, query)

        async def decide() -> None:
            action.output, action.passages = value, tuple(passages)
            if counts:
                raise Disagreement(counts)

        await self.recorder.act(action, decide)

    async def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """How rare each term is in the tenant's documents; nothing where that is not known."""

        async def look() -> dict[str, float]:
            return await asyncio.to_thread(self._deps.retriever.idf, self.caller.tenant_id, terms)

        return await self.once("idf", look)

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of work, or give what it gave before the process died; the task's clock goes on from there."""

        async def timed() -> tuple[T, float]:
            return await work(), self.budget.elapsed_s

        result, elapsed_s = await self.journal.once(name, timed)
        self.budget.catch_up(elapsed_s)
        return result

    async def finished(self, outcome: str, why: BaseException | str | None, started_at: datetime) -> None:
        """Record the task itself."""
        reason = one_line(why) if isinstance(why, BaseException) else why
        await self.recorder.finished(outcome, reason, started_at, self.budget.elapsed_s * 1000)

    async def propose(self, answer: str, citations: Sequence[Citation]) -> None:
        """What the task would answer if it had to stop now; who listens is told what it newly rests on."""
        new = [citation for citation in citations if citation not in self.citations]
        self.best_answer = answer
        self.citations = list(citations)
        for citation in new:
            await self.recorder.emit("citation", citation.model_dump(mode="json"))

    def worst_usd(self, prompt_bytes: int, max_tokens: int) -> Decimal:
        """The most that a call can cost: no tokenizer makes more tokens than there are bytes."""
        model = self._deps.settings.llm_model
        return self._deps.prices.cost(model, datetime.now(UTC), prompt_bytes, 0, max_tokens).usd

    async def _retrieve(self, agent: str, query: str, hop: int, find: Callable[[], list[Passage]]) -> list[Passage]:
        """Run a search beside the event loop; its record is on disk before its passages are used."""
        self.budget.allow_step()
        action = Action("search", agent, hop, query)

        async def search() -> None:
            try:
                async with asyncio.timeout(self.budget.seconds_left()):
                    action.passages = tuple(await asyncio.to_thread(find))
            except TimeoutError:
                raise BudgetReached("max_seconds was used up while searching") from None

        done = await self.recorder.act(action, search)
        if done.failure:
            raise done.failure
        self.tools.read_strangers |= bool(done.passages)
        return list(done.passages)

    def _find(self, query: str, k: int, mode: Mode | Literal["best"]) -> list[Passage]:
        if mode == "best":
            mode = self._deps.retriever.best_mode(self.caller.tenant_id)
        return self._deps.retriever.search(self.caller.tenant_id, self.caller.groups, query, k=k, mode=mode)

    def _find_named(self, names: Sequence[str], about: str) -> list[Passage]:
        """By words alone: a name is spelled out, and a lexical search takes a few milliseconds."""
        found = []
        for name in names:
            passages = self._find(f"{name} {about}", LOOK_UP_DEPTH, "lexical")
            found += [passage for passage in passages if passage.title.lower() == name.lower()][:1]
        return found


def current_task() -> Task:
    """The task that the running program serves; it travels in `dspy.context`, which DSPy carries everywhere."""
    task = dspy.settings.get("task")
    if not isinstance(task, Task):
        raise RuntimeError("a program runs inside a task: call Agents.ask, or enter dspy.context(task=…)")
    return task
