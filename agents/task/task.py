"""One question being answered. A program does everything to the world through its task: searching, tools, memory.

Each action is allowed by the budget before it begins, and on disk as a call record before its result is used.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import dspy

from agents.answer import Citation, Form, OnEvent, Statement, Step, Turn, Usage
from agents.task import remembered, searching
from agents.task.actions import Action
from agents.task.blackboard import Blackboard
from agents.task.budget import Budget
from agents.task.context import TaskContext
from agents.task.dependencies import Dependencies
from agents.task.journal import Journal
from agents.task.recorder import one_line
from agents.task.tool_calls import ToolRunner
from lakehouse.access.permissions import Caller
from lakehouse.index.passages import Mode, Passage
from lakehouse.index.search_filters import SearchFilters
from lakehouse.retrieval.paging import Pages


class Disagreement(Exception):
    """Documents contradict each other; the text counts them and quotes none."""


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
        with_memory: bool = False,
        on_event: OnEvent | None = None,
        journal: Journal | None = None,
        id: str | None = None,
        filters: SearchFilters | None = None,
        style: Form | None = None,
        history: Sequence[Turn] = (),
    ) -> None:
        self.context = TaskContext(
            deps,
            caller,
            budget,
            program=program,
            program_version=program_version,
            on_event=on_event,
            journal=journal,
            id=id,
            filters=filters,
        )
        self.id = self.context.id
        self.caller = caller
        self.budget = budget
        self.journal = self.context.journal
        self.recorder = self.context.recorder
        self.tools = ToolRunner(self.context)
        self.board = Blackboard(self.recorder.add)
        self.max_hops = max_hops
        self.quorum = quorum
        # Of a quorum each document must state the fact by itself.
        self.reads_at_once = deps.settings.passages_at_once if quorum == 1 else 1
        self.style = style
        """The form of answer that the caller asked for; None: the question decides."""
        self.history = history
        """Earlier turns of the caller's conversation, the oldest first."""
        self.form: Form | None = None
        """The form that was chosen."""
        self.understood: str | None = None
        """The question that a follow-up became, complete without its history."""
        self.writes_answers = deps.settings.writes_answers
        self.best_answer = ""
        self.citations: list[Citation] = []
        self.found: list[Passage] = []
        """What the first search found: the nearest documents, where the question must be declined."""
        self.statements: list[Statement] = []
        self.dropped: list[str] = []
        self.documents_read: int | None = None
        self.documents_left: int | None = None
        self._with_memory = with_memory

    @property
    def steps(self) -> list[Step]:
        return self.recorder.steps

    @property
    def usage(self) -> Usage:
        return self.recorder.usage

    async def search(self, query: str, *, hop: int, k: int, mode: Mode | Literal["best"] = "hybrid") -> list[Passage]:
        """The caller's k best passages, best first; none when nothing fits. Raises NotFound, Unavailable."""
        passages = await searching.search(self.context, query, hop=hop, k=k, mode=mode)
        self.found = self.found or passages
        return passages

    async def search_documents(
        self, query: str, *, k: int, mode: Mode, per_document: int, pages: Pages
    ) -> list[Passage]:
        """The caller's k best documents, each by its best passage, best first. Raises NotFound, Unavailable."""
        return await searching.search_documents(
            self.context, query, k=k, mode=mode, per_document=per_document, pages=pages
        )

    async def look_up(self, names: Sequence[str], topic: str, *, hop: int) -> list[Passage]:
        """For each name that is a document's title, the passage of that document that fits the topic best."""
        return await searching.look_up(self.context, names, topic, hop=hop)

    async def beginnings(self, passages: Sequence[Passage], *, hop: int) -> list[Passage]:
        """The first chunks of these passages' documents, which say what the documents are about."""
        return await searching.beginnings(self.context, passages, hop=hop)

    async def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequency of terms in the tenant's index; empty where the index has no frequencies."""
        return await searching.idf(self.context, terms)

    async def remembered(self, question: str) -> str:
        """The lines of the user's memory nearest to a question; "" where the request asks for no memory."""
        return await remembered.remembered(self.context, question) if self._with_memory else ""

    async def calculate(self, expression: str, *, hop: int) -> str | None:
        """The value of an arithmetic expression, by the calculator tool; None for any other text."""
        observation = await self.tools.call("calculate", {"expression": expression}, hop=hop)
        return observation.text if observation.ok else None

    async def record_decision(
        self, agent: str, query: str, value: str | None, passages: Sequence[Passage], counts: str, *, hop: int
    ) -> None:
        """Trace a decision between documents. `counts` holds no document text, so it also goes into the call record."""
        action = Action("tool", agent, hop, query)

        async def work() -> None:
            action.output, action.passages = value, tuple(passages)
            if counts:
                raise Disagreement(counts)

        await self.recorder.act(action, work)

    async def propose(
        self,
        answer: str,
        citations: Sequence[Citation],
        statements: Sequence[Statement] = (),
        dropped: Sequence[str] = (),
    ) -> None:
        """Set the answer that the task gives if it must stop now; send new citations to the listener.

        `statements`: the parts of a written answer; `dropped`: what the model wrote and no passage supports.
        """
        new = [citation for citation in citations if citation not in self.citations]
        self.best_answer = answer
        self.statements, self.dropped = list(statements), list(dropped)
        self.citations = list(citations)
        for citation in new:
            await self.recorder.emit("citation", citation.model_dump(mode="json"))

    async def record_end(self, outcome: str, why: BaseException | str | None, started_at: datetime) -> None:
        """Record the task itself."""
        reason = one_line(why) if isinstance(why, BaseException) else why
        await self.recorder.record_end(outcome, reason, started_at, self.budget.elapsed_s * 1000)


def current_task() -> Task:
    """The running program's task. It travels in `dspy.context`, which DSPy carries into its threads too."""
    task = dspy.settings.get("task")
    if not isinstance(task, Task):
        raise RuntimeError("a program runs inside a task: call Agents.ask, or enter dspy.context(task=…)")
    return task
