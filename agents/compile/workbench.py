"""The workbench: runs programs and model calls for a DSPy optimizer, each as a task with a budget and call records.

DSPy's optimizers are synchronous and use threads; our programs run on one event loop. The workbench has that loop in a
thread of its own.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import dspy
from dspy.lm15 import Request, Response

from agents.answer import Answer
from agents.compile.scores import Score
from agents.compile.teacher import HintedAdapter
from agents.prompting.adapter import ShortAdapter
from agents.runtime import UNCOMPILED, Agents, Dependencies
from agents.task.budget import Limits
from lakehouse.access.permissions import Caller
from lakehouse.errors import LakehopError
from lakehouse.text import scoring
from lakehouse.text.questions import LabelledQuestion

AT_ONCE = 2  # questions in flight
WRITTEN_TOKENS = 400  # of an instruction that the model proposes, with its reasoning before
T = TypeVar("T")


class SyncProgram(dspy.Module):
    """A program as an optimizer calls it: synchronously, each call a task."""

    def __init__(self, program: dspy.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, question: str) -> dspy.Prediction:
        workbench: Workbench = dspy.settings.workbench
        return workbench.predict(self.program, question)


class ModelCall(dspy.Module):
    """One request of an optimizer to the model, as a program of its own."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self.response: Response | None = None

    async def aforward(self, question: str) -> dspy.Prediction:
        self.response = await dspy.settings.lm.acall(self._request)
        return dspy.Prediction(answer=self.response.message.text)


class OptimizerEngine:
    """DSPy's engine for an optimizer's own model calls."""

    def __init__(self, workbench: "Workbench") -> None:
        self._workbench = workbench

    def complete(self, request: Request) -> Response:
        return self._workbench.call_model(request)


class Workbench:
    """Asks the questions of one set, on behalf of one caller. Close it at the end."""

    def __init__(self, deps: Dependencies, caller: Caller, name: str, questions: Sequence[LabelledQuestion]) -> None:
        self.agents = Agents(deps)
        self.model = deps.settings.llm_model
        self.documents_of_successes: set[str] = set()
        """Ids of documents read on the way to the teacher's right answers; demonstrations may quote them."""
        self.documents_read: set[str] = set()
        """Ids of all documents read; an optimizer that sees whole runs may quote them."""
        self._settings = deps.settings
        self._caller = caller
        self._name = name
        self._questions = {question.text: question for question in questions}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def predict(self, program: dspy.Module, question: str) -> dspy.Prediction:
        """Answer one question; with its labels where the context has `hinted`, as a teacher's has."""
        hinted, labels = dspy.settings.get("hinted", False), self._questions[question]
        adapter = HintedAdapter(labels) if hinted else ShortAdapter()
        answer = self._wait_for(self._ask(program, question, adapter))
        documents = {passage.doc_id for step in answer.steps if step.kind == "chat" for passage in step.passages}
        self.documents_read.update(documents)
        if hinted and scoring.exact_match(answer.answer, labels.answers):
            self.documents_of_successes.update(documents)
        return dspy.Prediction(answer=answer.answer, status=answer.status, usd=answer.usage.usd)

    def optimizer_lm(self) -> dspy.LM:
        """The model for an optimizer that writes instructions."""
        return dspy.LM(self.model, engine=OptimizerEngine(self), cache=False, num_retries=0, max_tokens=WRITTEN_TOKENS)

    def call_model(self, request: Request) -> Response:
        """One model call of an optimizer. Raises LakehopError where a task's budget is too small for it."""
        call = ModelCall(request)
        answer = self._wait_for(self._ask(call, "", ShortAdapter()))
        if call.response is None:
            raise LakehopError(
                f"the optimizer's call of the model was cut off: {answer.reason}. Raise LAKEHOP_TASK_MAX_USD or "
                "LAKEHOP_TASK_MAX_SECONDS."
            )
        return call.response

    def score(self, program: dspy.Module, questions: Sequence[LabelledQuestion]) -> Score:
        """Score the program on the questions, without hints."""
        return self._wait_for(self._score(program, questions))

    def close(self) -> None:
        """Cancel what is still running and end the thread."""
        self._wait_for(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop, in the calling thread's context, which holds DSPy's trace."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _stop(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}  # questions beside one that failed
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.agents.aclose()

    async def _ask(self, program: dspy.Module, question: str, adapter: ShortAdapter) -> Answer:
        settings = self._settings
        task = self.agents.new_task(
            self._caller,
            self._name,
            UNCOMPILED,
            Limits(settings.task_max_usd, settings.task_max_seconds),
            settings.max_hops,
        )
        temperature = dspy.settings.lm.kwargs.get("temperature") if dspy.settings.lm else None
        return await self.agents.run(task, program, question, adapter=adapter, temperature=temperature or 0.0)

    async def _score(self, program: dspy.Module, questions: Sequence[LabelledQuestion]) -> Score:
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(question: LabelledQuestion) -> tuple[bool, Decimal]:
            async with gate:
                with dspy.context(trace=None, lm=None):
                    answer = await self._ask(program, question.text, ShortAdapter())
                return scoring.success(answer.answer, question.answers), answer.usage.usd

        outcomes = await asyncio.gather(*map(ask, questions))
        usd = sum((usd for _, usd in outcomes), Decimal(0))
        return Score(len(outcomes), sum(is_right for is_right, _ in outcomes), usd)
