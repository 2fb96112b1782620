"""The agents' interface for services: ask a question or search, for a caller, within a budget.

A tenant's compiled programs are loaded from the lakehouse, the shipped ones from `agents/programs/compiled`. They hold
instructions and demonstrations, never code or a model.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import dspy
from dspy.utils.exceptions import ContextWindowExceededError

from agents.answer import NOTHING_FOUND, Answer, Event, Form, OnEvent, Status, Turn, Usage
from agents.llm.engine import TaskEngine, model_client
from agents.llm.lm import TaskLM
from agents.programs import PROGRAMS
from agents.prompting.adapter import ShortAdapter
from agents.reading.answerability import NothingFound, SubjectMissing
from agents.reading.citations import nearest, uncited
from agents.reading.judge import JUDGE, Judge
from agents.reading.quorum import check_quorum
from agents.task.budget import Budget, BudgetReached, Limits
from agents.task.dependencies import Dependencies
from agents.task.journal import Journal
from agents.task.recorder import one_line
from agents.task.remembered import check_memory
from agents.task.task import Task
from agents.writing.writer import check_writing
from lakehouse.access.permissions import Caller
from lakehouse.errors import InvalidInput, LakehopError, Unavailable
from lakehouse.index.passages import Mode, Passage
from lakehouse.index.search_filters import SearchFilters
from lakehouse.retrieval.paging import Pages
from lakehouse.state.programs import CompiledProgram, ProgramRegistry

__all__ = ["Agents", "Dependencies", "Event", "SearchResult"]

log = logging.getLogger(__name__)
COMPILED = Path(__file__).parent / "programs" / "compiled"
MAX_QUESTION_CHARACTERS = 8_000
UNCOMPILED = "uncompiled"
NO_ANSWER_YET = "The budget ended before anything was found."


@dataclass(frozen=True)
class SearchResult:
    """The result of a search without a program: documents by their best passages, best first.

    `next_page_token`: of the page after this one; None where this is the last.
    """

    results: list[Passage]
    took_ms: float
    task_id: str
    usage: Usage
    next_page_token: str | None = None
    status: Status = "answered"


class Agents:
    """One per process, used on one event loop; `aclose` it at the end."""

    def __init__(self, deps: Dependencies) -> None:
        deps.prices.require(deps.settings.llm_model, datetime.now(UTC))
        self._deps = deps
        self._client = model_client(deps.settings)
        self._registry = ProgramRegistry(deps.settings)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def ask(
        self,
        question: str,
        caller: Caller,
        *,
        program: str,
        limits: Limits,
        max_hops: int,
        quorum: int = 1,
        recall: bool = False,
        on_event: OnEvent | None = None,
        journal: Journal | None = None,
        task_id: str | None = None,
        filters: SearchFilters | None = None,
        style: Form | None = None,
        history: Sequence[Turn] = (),
    ) -> Answer:
        """Answer a question from the documents that the caller may read and that meet the filters.

        `style`: the form of the answer; None: the question decides. `history`: the conversation before it.

        A budget that ends gives a `partial` answer. `quorum`: how many documents must agree on a fact; `recall`:
        whether the program reads the memories of the caller's user. With the `journal` of its `task_id`, a task
        resumes. Raises InvalidInput for the question, the program or an option that the program does not support,
        NotFound for the tenant, Unavailable when the model or the index does not answer.
        """
        module, version = await self._program(program, caller)
        check_quorum(program, quorum)
        check_writing(program, style, history)
        if recall:
            check_memory(program)
        task = self.new_task(
            caller,
            program,
            version,
            limits,
            max_hops,
            quorum,
            recall,
            on_event,
            journal,
            task_id,
            filters,
            style,
            history,
        )
        # No trace and no history: DSPy would keep other tenants' questions in the process.
        with dspy.context(trace=None):
            return await self.run(task, module, check_question(question))

    def new_task(
        self,
        caller: Caller,
        program: str,
        version: str,
        limits: Limits,
        max_hops: int,
        quorum: int = 1,
        with_memory: bool = False,
        on_event: OnEvent | None = None,
        journal: Journal | None = None,
        task_id: str | None = None,
        filters: SearchFilters | None = None,
        style: Form | None = None,
        history: Sequence[Turn] = (),
    ) -> Task:
        """A new task; its clock runs from now on."""
        return Task(
            self._deps,
            caller,
            program=program,
            program_version=version,
            budget=Budget(limits),
            max_hops=max_hops,
            quorum=quorum,
            with_memory=with_memory,
            on_event=on_event,
            journal=journal,
            id=task_id,
            filters=filters,
            style=style,
            history=history,
        )

    async def run(
        self,
        task: Task,
        module: dspy.Module,
        question: str,
        *,
        adapter: ShortAdapter | None = None,
        temperature: float = 0.0,
    ) -> Answer:
        """Run a program in a task, and record how the task ended. `agents.compile` brings its own adapter."""
        started_at = datetime.now(UTC)
        try:
            status, answer, reason = await self._outcome(task, module, question, adapter or ShortAdapter(), temperature)
        except BaseException as error:
            if not task.journal.goes_on(error):
                await task.record_end("failed", error, started_at)
            raise
        await task.record_end(status, reason, started_at)
        claims = status != "refused" and task.best_answer  # a budget may end before the first answer
        await task.recorder.emit("usage", task.usage.model_dump(mode="json"))
        return Answer(
            answer=answer,
            status=status,
            reason=reason,
            form=task.form,
            question=task.understood,
            citations=task.citations if status != "refused" else [],
            nearest=nearest(question, task.found) if status == "refused" else [],
            statements=task.statements if claims else [],
            dropped=task.dropped,
            documents_read=task.documents_read,
            documents_left=task.documents_left,
            uncited=uncited(answer, task.citations, task.steps) if claims and not task.statements else [],
            steps=task.steps,
            usage=task.usage,
            latency_s=task.budget.elapsed_s,
            task_id=task.id,
        )

    async def search(
        self,
        question: str,
        caller: Caller,
        *,
        k: int,
        mode: Mode,
        filters: SearchFilters | None = None,
        per_document: int = 1,
        page_token: str | None = None,
        max_usd: Decimal | None = None,
        on_event: OnEvent | None = None,
    ) -> SearchResult:
        """The k best documents that the caller may read and that meet the filters, each by its best passage.

        `per_document`: passages of each; `page_token`: of the page before. `max_usd`: for the fleet's model where it is
        the reranker. Raises InvalidInput, NotFound, Unavailable.
        """
        query = check_question(question)
        settings = self._deps.settings
        limits = Limits(settings.task_max_usd if max_usd is None else max_usd, settings.search_seconds)
        pages = Pages.of((caller.tenant_id, query, mode, filters), page_token)
        task = self.new_task(caller, "search", UNCOMPILED, limits, 1, on_event=on_event, filters=filters)
        started = time.perf_counter()
        try:
            with self._context(task, ShortAdapter(), 0.0):
                documents = await task.search_documents(query, k=k, mode=mode, per_document=per_document, pages=pages)
        except BudgetReached as reached:  # a search has no other budget than its time, so a part of the stack hangs
            raise Unavailable("milvus", f"the search did not end: {reached}. See `lakehop status`.") from reached
        took_ms = (time.perf_counter() - started) * 1000
        return SearchResult(documents, took_ms, task.id, task.usage, next_page_token=pages.next_token(documents, k))

    async def judge(
        self, question: str, answer: str, evidence: Sequence[str], caller: Caller, *, limits: Limits, on_event: OnEvent
    ) -> Answer:
        """Judge whether the evidence states what the answer claims: `yes` or `no`, if the status is `answered`.

        Raises InvalidInput for the question, Unavailable when the model does not answer.
        """
        task = self.new_task(caller, JUDGE, UNCOMPILED, limits, 1, on_event=on_event)
        with dspy.context(trace=None):
            return await self.run(task, Judge(answer, evidence), check_question(question))

    async def _program(self, name: str, caller: Caller) -> tuple[dspy.Module, str]:
        load_program(name)  # refuses an unknown name before the lakehouse is read
        return load_program(name, await asyncio.to_thread(self._registry.answering, caller, name))

    async def _outcome(
        self, task: Task, module: dspy.Module, question: str, adapter: ShortAdapter, temperature: float
    ) -> tuple[Status, str, str | None]:
        try:
            with self._context(task, adapter, temperature):
                prediction = await module.acall(question=question)
        except NothingFound as nothing:
            if task.tools.fault:  # a search that failed does not show that there is no answer
                raise task.tools.fault from nothing
            explanation = f" {nothing.explanation}" if isinstance(nothing, SubjectMissing) else ""
            return "refused", NOTHING_FOUND + explanation, str(nothing) or None
        except ContextWindowExceededError as error:
            raise Unavailable(
                "vllm",
                f"the context of {self._deps.settings.llm_model!r} is too small for one passage and its examples: "
                f"{one_line(error)}. Serve it with a longer one.",
            ) from error
        except Exception as error:
            cause = _own_error(error)
            if isinstance(cause, BudgetReached):
                return "partial", task.best_answer or NO_ANSWER_YET, str(cause)
            if isinstance(cause, LakehopError):
                raise cause from error
            raise
        return "answered", prediction.answer, None

    def _context(self, task: Task, adapter: ShortAdapter, temperature: float) -> AbstractContextManager[None]:
        """DSPy's context of a program: the task's model and adapter, and the task itself."""
        engine = TaskEngine(task.context, self._client, self._deps.settings)
        lm = TaskLM(self._deps.settings.llm_model, engine, temperature)
        context: AbstractContextManager[None] = dspy.context(lm=lm, adapter=adapter, task=task, disable_history=True)
        return context


def check_question(question: str) -> str:
    """The question without surrounding blanks. Raises InvalidInput for an empty or too long question."""
    text = question.strip()
    if not text:
        raise InvalidInput(f"question {question[:20]!r}: is empty. Ask in words.")
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise InvalidInput(
            f"question {text[:40]!r}…: {len(text):,} characters, at most {MAX_QUESTION_CHARACTERS:,} allowed. "
            "Ask about a document instead of sending it."
        )
    return text.encode("utf-8", "replace").decode()  # JSON in UTF-8 cannot hold a lone surrogate


@lru_cache(maxsize=64)
def load_program(name: str, compiled: CompiledProgram | None = None) -> tuple[dspy.Module, str]:
    """The compiled or else the shipped program, and its version. Raises InvalidInput for an unknown name."""
    if name not in PROGRAMS:
        raise InvalidInput(f"program {name!r}: must be one of {', '.join(sorted(PROGRAMS))}. Name one of them.")
    module, shipped = PROGRAMS[name](), COMPILED / f"{name}.json"
    if compiled:
        try:
            module.load_state(json.loads(compiled.state))
        except KeyError as step:
            log.warning(
                "%s %s was compiled before it had the step %s: the shipped program runs", name, compiled.version, step
            )
        else:
            return module, compiled.version
    if not shipped.exists():
        return module, UNCOMPILED
    module.load(shipped)
    return module, program_version(shipped.read_bytes())


def program_version(state: bytes) -> str:
    """The version of a compiled program: the first 12 digits of its state's SHA-256."""
    return hashlib.sha256(state).hexdigest()[:12]


def _own_error(error: BaseException) -> BaseException:
    """Our own error, unwrapped from DSPy's errors; the given error without one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (BudgetReached, LakehopError)):
            return cause
        cause = cause.__cause__
    return error
