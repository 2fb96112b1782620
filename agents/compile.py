"""Compile a program: `python -m agents.compile --program P --optimizer O --questions FILE --tenant T --groups g`.

A DSPy optimizer runs the program on training questions and keeps, as demonstrations, the steps of runs that ended
in the right answer. A small model seldom gets there alone, so the teacher is hinted by the labels: it may only
choose names of gold documents and only conclude what gives the gold answer. The student is never hinted. What comes
out is tested on questions that the optimizer did not see, and goes live only if it is no worse.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import dspy
from dspy.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch

from agents.adapter import ShortAdapter
from agents.answer import Answer
from agents.constraints import NUMBER, SomeOf, SpanOf, SumOf
from agents.mentions import quote_of
from agents.programs import PROGRAMS
from agents.runtime import COMPILED, UNCOMPILED, Agents, Dependencies, program_version
from agents.task import Task, current_task
from agents.tools import ToolFailed, calculate
from lakehouse import delta, scoring
from lakehouse.embedding import load_embedder
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.index import Index
from lakehouse.permissions import AclDirectory, Caller, canonical_groups, check_tenant
from lakehouse.prices import Prices
from lakehouse.records import Spool
from lakehouse.settings import Settings, load_settings
from lakehouse.tables import AGENT_PROGRAMS

OPTIMIZERS = ("bootstrap", "random_search")
SEED = 7  # so that a compilation can be repeated, as far as the model's server repeats itself
AT_ONCE = 2  # questions in flight
DEMONSTRATIONS = 6
ROUNDS = 3  # tries of the teacher at one question; from the second on with temperature 1
T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A line of the questions file: what to ask, and what is right."""

    text: str
    answers: tuple[str, ...]
    gold_ids: tuple[str, ...]

    def example(self) -> dspy.Example:
        return dspy.Example(question=self.text, answers=self.answers).with_inputs("question")


class HintedAdapter(ShortAdapter):
    """What the teacher uses: an answer that the labels contradict cannot be said."""

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def allowed(self, constraint: Any, inputs: dict[str, Any]) -> dict[str, Any] | None:
        choices = self._hint(constraint, inputs)
        return {"choice": choices} if choices else super().allowed(constraint, inputs)

    def _hint(self, constraint: Any, inputs: dict[str, Any]) -> list[str]:
        match constraint:
            case SomeOf(field=field):
                gold = self._gold_titles(current_task())
                names = [name for name in inputs[field] if name in gold]
                return [", ".join(names[: constraint.most])] if names else []
            case SpanOf(field=field):
                return self._right_spans(inputs[field])
            case SumOf(field=field):
                return self._right_sums(list(inputs[field]))
        return []

    def _gold_titles(self, task: Task) -> set[str]:
        refs = (ref for step in task.steps for ref in step.passages)
        return {ref.title for ref in refs if ref.doc_id in self._question.gold_ids}

    def _right_spans(self, text: str) -> list[str]:
        """The gold answer as it stands there; where it is worked out from several documents' numbers, any number."""
        if len(self._question.gold_ids) > 2 and _value(self._question.answers[0]):
            return list(dict.fromkeys(NUMBER.findall(text)))
        quotes = [quote for answer in self._question.answers if (quote := quote_of(answer, text))]
        return [min(quotes, key=len)] if quotes else []

    def _right_sums(self, lines: list[str]) -> list[str]:
        """Sums of the facts, in their order, that give the gold answer."""
        facts = [line.partition(": ")[2] for line in lines]
        sums = (" ".join([facts[0], *(f"{op} {fact}" for op, fact in zip(ops, facts[1:], strict=True))])
                for ops in product("+-*/", repeat=len(facts) - 1))  # fmt: skip
        return [one for one in sums if _value(one) in self._question.answers][:1]


class Asking(dspy.Module):
    """A program as an optimizer drives it: synchronous, each call a task of its own."""

    def __init__(self, program: dspy.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, question: str) -> dspy.Prediction:
        workbench: Workbench = dspy.settings.workbench
        return workbench.predict(self.program, question)


class Workbench:
    """Runs programs for an optimizer: one event loop in a thread of its own, one caller, one set of questions."""

    def __init__(self, deps: Dependencies, caller: Caller, name: str, questions: Sequence[Question]) -> None:
        self.agents = Agents(deps)
        self._settings = deps.settings
        self._caller = caller
        self._name = name
        self._questions = {question.text: question for question in questions}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def predict(self, program: dspy.Module, question: str) -> dspy.Prediction:
        """Answer one question; a teacher (`hinted` in the context) is hinted by its labels."""
        hinted = dspy.settings.get("hinted", False)
        adapter = HintedAdapter(self._questions[question]) if hinted else ShortAdapter()
        answer = self.wait(self._ask(program, question, adapter))
        return dspy.Prediction(answer=answer.answer, status=answer.status)

    def score(self, program: dspy.Module, questions: Sequence[Question]) -> float:
        """Share of the questions that the program answers rightly, 0 to 1."""
        return self.wait(self._score(program, questions))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop, in the caller's context: DSPy's trace is in there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self.wait(self.agents.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ask(self, program: dspy.Module, question: str, adapter: ShortAdapter) -> Answer:
        settings = self._settings
        task = self.agents.new_task(
            self._caller,
            self._name,
            UNCOMPILED,
            settings.task_max_usd,
            settings.task_max_seconds,
            settings.max_hops,
        )
        temperature = dspy.settings.lm.kwargs.get("temperature") if dspy.settings.lm else None
        return await self.agents.run(task, program, question, adapter=adapter, temperature=temperature or 0.0)

    async def _score(self, program: dspy.Module, questions: Sequence[Question]) -> float:
        gate = asyncio.Semaphore(AT_ONCE)

        async def is_right(question: Question) -> bool:
            async with gate:
                with dspy.context(trace=None, lm=None):
                    answer = await self._ask(program, question.text, ShortAdapter())
                return scoring.success(answer.answer, question.answers)

        return sum(await asyncio.gather(*map(is_right, questions))) / len(questions)


def compile_program(
    workbench: Workbench, name: str, optimizer: str, train: Sequence[Question], test: Sequence[Question]
) -> dict[str, Any]:
    """Compile, test before and after, save what is no worse; returns the row of `ops.agent_programs`."""
    ...


def is_right(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
    """Success; for a demonstration the answer must also be short, for it will be copied."""
    if trace is not None:
        return scoring.exact_match(prediction.answer, example.answers)
    return scoring.success(prediction.answer, example.answers)


def _value(expression: str) -> str | None:
    try:
        return calculate(expression)
    except ToolFailed:
        return None
