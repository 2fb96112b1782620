"""Compile a program: `python -m agents.compile --program P --optimizer O --questions FILE --tenant T --groups g`.

A DSPy optimizer runs the program on training questions and keeps, as demonstrations, the steps of runs that ended
in the right answer. A small model seldom gets there alone, so the teacher is hinted by the labels: it may only
choose names of gold documents and only conclude what gives the gold answer. The student is never hinted. What comes
out is tested on questions that the optimizer did not see, and goes live only if it is no worse.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import threading
from collections.abc import Coroutine, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import dspy
from dspy.teleprompt import BootstrapFewShot, BootstrapFewShotWithRandomSearch

from agents.adapter import ShortAdapter
from agents.answer import Answer
from agents.budget import Limits
from agents.constraints import NUMBER, OneOf, SpanOf, SumOf, first_numbers
from agents.engine import NoSyncEngine
from agents.mentions import quote_of
from agents.programs import PROGRAMS
from agents.runtime import COMPILED, UNCOMPILED, Agents, Dependencies, load_program, program_version
from agents.tools.calculator import calculate
from agents.tools.contract import ToolFailed
from lakehouse import delta, scoring
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.permissions import Caller, canonical_groups, check_tenant
from lakehouse.prices import Prices
from lakehouse.records import Spool
from lakehouse.retrieval import Retriever
from lakehouse.settings import Settings, load_settings
from lakehouse.tables import AGENT_PROGRAMS

OPTIMIZERS = ("bootstrap", "random_search")
SEED = 7  # so that a compilation can be repeated, as far as the model's server repeats itself
AT_ONCE = 2  # questions in flight
DEMONSTRATIONS = 50  # as many as there are: the adapter shows those most like the question
ROUNDS = 3  # tries of the teacher at one question; from the second on with temperature 1
CANDIDATES = 4  # of the random search, beside the three that DSPy adds
_ADDRESS = re.compile(r"\w+://[^\s<>)\]]*")
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
            case OneOf(choices=choices):
                look_ups = str(len(self._question.gold_ids) - 1)
                return [look_ups] if look_ups in choices else []
            case SpanOf(field=field):
                return self._right_spans(inputs[field])
            case SumOf(field=field):
                return self._right_sums(list(inputs[field]))
        return []

    def _right_spans(self, text: str) -> list[str]:
        """The gold answer as it stands there; where it is worked out from several documents' numbers, any number."""
        if len(self._question.gold_ids) > 2 and _value(self._question.answers[0]):
            return list(dict.fromkeys(NUMBER.findall(text)))
        quotes = [quote for answer in self._question.answers if (quote := quote_of(answer, text))]
        return [min(quotes, key=len)] if quotes else []

    def _right_sums(self, lines: list[str]) -> list[str]:
        """A sum of the facts' numbers that gives the gold answer."""
        numbers = first_numbers(lines)
        for operators in product("+-*/", repeat=max(0, len(numbers) - 1)):
            one = " ".join([*numbers[:1], *(f"{op} {n}" for op, n in zip(operators, numbers[1:], strict=True))])
            if _value(one) in self._question.answers:
                return [one]
        return []


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
        self.model = deps.settings.llm_model
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
            Limits(settings.task_max_usd, settings.task_max_seconds),
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


def compile_program(workbench: Workbench, name: str, optimizer: str, train: Sequence[Question]) -> dspy.Module:
    """The program with the demonstrations that the optimizer found."""
    student, teacher = Asking(PROGRAMS[name]()), Asking(PROGRAMS[name]())
    examples = [question.example() for question in _mixed(train)]
    bootstrap: dict[str, Any] = {
        "metric": is_right,
        "max_bootstrapped_demos": DEMONSTRATIONS,
        "max_labeled_demos": 0,  # the labels say what to answer, not how the steps there look
        "max_rounds": ROUNDS,
        "teacher_settings": {"hinted": True},
    }
    with dspy.context(workbench=workbench, lm=dspy.LM(name, engine=NoSyncEngine(), cache=False)):
        if optimizer == "bootstrap":
            compiled = BootstrapFewShot(**bootstrap).compile(student, teacher=teacher, trainset=examples)
            return _without_addresses(compiled.program)
        held_back = len(examples) // 2  # to choose among the candidates; the test questions stay unseen
        search = BootstrapFewShotWithRandomSearch(num_candidate_programs=CANDIDATES, num_threads=AT_ONCE, **bootstrap)
        compiled = search.compile(student, teacher=teacher, trainset=examples[held_back:], valset=examples[:held_back])
        return _without_addresses(compiled.program)


def _without_addresses(program: dspy.Module) -> dspy.Module:
    """The program with the web addresses taken out of its demonstrations: they cost tokens and teach nothing."""
    for predictor in program.predictors():
        predictor.demos = [
            dspy.Example(
                {name: _ADDRESS.sub("", text) if isinstance(text, str) else text for name, text in demo.items()}
            )
            for demo in predictor.demos
        ]
    return program


def judged(
    workbench: Workbench, name: str, optimizer: str, train: Sequence[Question], test: Sequence[Question]
) -> dict[str, Any]:
    """Compile, test before and after, save what is no worse than what is there; the row of `ops.agent_programs`."""
    before = workbench.score(load_program(name)[0], test)
    compiled = compile_program(workbench, name, optimizer, train)
    after = workbench.score(compiled, test)
    draft = COMPILED / f".{name}.json"
    COMPILED.mkdir(exist_ok=True)
    compiled.save(draft)
    row = {
        "program": name,
        "version": program_version(draft),
        "optimizer": optimizer,
        "model": workbench.model,
        "trained_on": len(train),
        "tested_on": len(test),
        "score_before": before,
        "score_after": after,
        "live": after >= before,
        "why": f"{after:.3f} of {len(test)} test questions right, {before:.3f} before",
        "created_at": datetime.now(UTC),
    }
    if after >= before:
        draft.rename(COMPILED / f"{name}.json")
        (COMPILED / f"{name}.scores.json").write_text(json.dumps(row, indent=2, default=str) + "\n")
    else:
        draft.unlink()
    return row


def register(settings: Settings, row: dict[str, Any]) -> None:
    """Write the version to `ops.agent_programs`; a version that goes live ends the life of the one before."""
    delta.ensure_tables(settings)
    rows = [row]
    if row["live"]:
        for old in delta.read_rows(settings, AGENT_PROGRAMS):
            if old["program"] == row["program"] and old["live"] and old["version"] != row["version"]:
                rows.append(old | {"live": False, "why": f"replaced by {row['version']}"})
    delta.upsert(settings, AGENT_PROGRAMS, rows)


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file that have an answer. Raises InvalidInput naming the line that is none."""
    questions = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"--questions {str(path)!r}: {error}. Name a readable JSONL file.") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = dict(json.loads(line))
            text = row["question"]
            if "answer" in row:
                answers = (str(row["answer"]), *row.get("aliases", ()))
                questions.append(Question(text, answers, tuple(row.get("gold_ids", ()))))
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(
                f'{path}, line {number}: {line[:80]!r}: must be JSON like {{"question": "…", "answer": "…"}}. Mend it.'
            ) from None
    return questions


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile as the arguments say, print the result as JSON on stdout; 1 after an error, which stderr tells."""
    given = _arguments(arguments)
    try:
        settings = load_settings()
        train, test = _train_and_test(given)
        workbench = Workbench(_dependencies(settings), _caller(given), given.program, train)
        try:
            with redirect_stdout(sys.stderr):  # DSPy prints its progress, and stdout carries the result alone
                row = judged(workbench, given.program, given.optimizer, train, test)
        finally:
            workbench.close()
        register(settings, row)
    except LakehopError as error:
        print(f"compile: {error}", file=sys.stderr)
        return 1
    print(json.dumps(row, default=str))
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agents.compile", description=__doc__)
    parser.add_argument("--program", required=True, choices=sorted(PROGRAMS))
    parser.add_argument("--optimizer", default="bootstrap", choices=OPTIMIZERS)
    parser.add_argument("--questions", required=True, type=Path, help="JSONL with question, answer, aliases, gold_ids")
    parser.add_argument("--test-questions", type=Path, help="others to score with; without: half of --questions")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--groups", default="", help="whose reader the program asks as, separated by commas")
    parser.add_argument("--limit", type=int, help="score with so many test questions at most")
    return parser.parse_args(arguments)


def _train_and_test(given: argparse.Namespace) -> tuple[list[Question], list[Question]]:
    train = read_questions(given.questions)
    random.Random(SEED).shuffle(train)  # noqa: S311  an order, not a secret
    if given.test_questions:
        test = read_questions(given.test_questions)
    else:
        train, test = train[: len(train) // 2], train[len(train) // 2 :]
    seen = {question.text for question in train}
    test = [question for question in test if question.text not in seen][: given.limit]
    if not train or not test:
        raise InvalidInput(
            f"{len(train)} questions to train on, {len(test)} others to test on: both are needed. Add some."
        )
    return train, test


def _dependencies(settings: Settings) -> Dependencies:
    return Dependencies(
        settings=settings,
        retriever=Retriever(settings),
        spool=Spool(settings.spool_dir),
        prices=Prices.from_file(settings.prices_file),
    )


def _caller(given: argparse.Namespace) -> Caller:
    return Caller(
        check_tenant(given.tenant), canonical_groups(given.groups.split(",")), app="compile", key_id="operator"
    )


def _mixed(questions: Sequence[Question]) -> list[Question]:
    """In turn one of each number of gold documents, so that the first successes show all kinds."""
    by_size: dict[int, list[Question]] = {}
    for question in questions:
        by_size.setdefault(len(question.gold_ids), []).append(question)
    return [question for row in zip_longest(*by_size.values()) for question in row if question]


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


if __name__ == "__main__":
    sys.exit(main())
