"""DSPy's optimizers over our programs: what they run, what they are told is good, and what they ask a model themselves.

A small model seldom gets to a right answer alone, so the teacher is hinted by the labels: it may only choose names of
gold documents and only conclude what gives the gold answer. The student is never hinted.
"""

import asyncio
import re
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product, zip_longest
from typing import Any, Literal, TypeVar, get_args

import dspy
from dspy.lm15 import Request, Response
from dspy.teleprompt import GEPA, BootstrapFewShot, BootstrapFewShotWithRandomSearch, MIPROv2
from dspy.teleprompt.gepa.gepa_utils import ScoreWithFeedback
from dspy.utils.exceptions import AdapterParseError

from agents.answer import Answer
from agents.llm.engine import NoSyncEngine
from agents.programs import PROGRAMS
from agents.prompting.adapter import ShortAdapter
from agents.prompting.constraints import NO, NUMBER, YES, OneOf, SpanOf, SumOf, YesNoOr, first_numbers
from agents.runtime import UNCOMPILED, Agents, Dependencies
from agents.task.budget import Limits
from agents.task.recorder import one_line
from agents.tools.calculator import calculate
from agents.tools.contract import ToolFailed
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import MONEY_PLACES
from lakehouse.errors import LakehopError
from lakehouse.text import scoring
from lakehouse.text.mentions import quote_of

Optimizer = Literal["bootstrap", "random_search", "mipro", "gepa"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SEED = 7  # so that a compilation can be repeated, as far as the model's server repeats itself
AT_ONCE = 2  # questions in flight
DEMONSTRATIONS = 50  # as many as there are: the adapter shows those most like the question
ROUNDS = 3  # tries of the teacher at one question; from the second on with temperature 1
CANDIDATES = 4  # of the random search, beside the three that DSPy adds; of MIPRO's instructions; of GEPA's rounds
TRIALS = 12  # of MIPRO's choices among instructions and demonstrations
WRITTEN_TOKENS = 400  # of an instruction that a model proposes, with what it thinks before
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


@dataclass(frozen=True)
class Score:
    """How a program did on some questions, and what all of them cost together."""

    asked: int
    right: int
    usd: Decimal

    @property
    def share(self) -> float:
        """Share of the questions answered rightly, 0 to 1."""
        return self.right / self.asked

    @property
    def usd_per_success(self) -> Decimal | None:
        """US dollars that a right answer cost; None where there was none."""
        return round(self.usd / self.right, MONEY_PLACES) if self.right else None

    def is_no_worse_than(self, other: "Score") -> bool:
        """Whether success is not lower and a success costs no more. Both were asked the same questions."""
        if self.right < other.right:
            return False
        if not self.right:
            return self.usd <= other.usd
        return self.usd * other.right <= other.usd * self.right

    def __str__(self) -> str:
        cost = f"${self.usd_per_success:.8f} a success" if self.right else "none of them"
        return f"{self.share:.3f} of {self.asked} test questions right at {cost}"


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
            case YesNoOr(otherwise=otherwise):
                said = [answer.lower() for answer in self._question.answers if answer.lower() in (YES, NO)]
                return said or self._hint(otherwise, inputs)
            case SpanOf(field="question"):
                return []  # what a question says itself is no part of its answer
            case SpanOf(field=field):
                return self._right_spans(inputs[field], inputs.get("question"))
            case SumOf(field=field):
                return self._right_sums(list(inputs[field]))
        return []

    def _right_spans(self, text: str, asked: Any) -> list[str]:
        """The gold answer as it stands there. Where it is worked out from several documents' numbers, any number; a
        part of such a question may want a name, and is not hinted."""
        if len(self._question.gold_ids) > 2 and _value(self._question.answers[0]):
            return list(dict.fromkeys(NUMBER.findall(text))) if asked == self._question.text else []
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


class Writing(dspy.Module):
    """What an optimizer asks the model about a program, handed on as it is."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self.response: Response | None = None

    async def aforward(self, question: str) -> dspy.Prediction:
        self.response = await dspy.settings.lm.acall(self._request)
        return dspy.Prediction(answer=self.response.message.text)


class WritingEngine:
    """DSPy's engine for an optimizer's own calls: each is a task, with budget and record like any other."""

    def __init__(self, workbench: "Workbench") -> None:
        self._workbench = workbench

    def complete(self, request: Request) -> Response:
        return self._workbench.write(request)


class Workbench:
    """Runs programs for an optimizer: one event loop in a thread of its own, one caller, one set of questions."""

    def __init__(self, deps: Dependencies, caller: Caller, name: str, questions: Sequence[Question]) -> None:
        self.agents = Agents(deps)
        self.model = deps.settings.llm_model
        self.copied: set[str] = set()
        """Ids of documents that were read on the way to right answers, which demonstrations may quote."""
        self.read: set[str] = set()
        """Ids of documents that were read at all, which an optimizer that sees whole runs may quote."""
        self._settings = deps.settings
        self._caller = caller
        self._name = name
        self._questions = {question.text: question for question in questions}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def predict(self, program: dspy.Module, question: str) -> dspy.Prediction:
        """Answer one question; a teacher (`hinted` in the context) is hinted by its labels."""
        hinted, labels = dspy.settings.get("hinted", False), self._questions[question]
        adapter = HintedAdapter(labels) if hinted else ShortAdapter()
        answer = self.wait(self._ask(program, question, adapter))
        documents = {passage.doc_id for step in answer.steps if step.kind == "chat" for passage in step.passages}
        self.read.update(documents)
        if hinted and scoring.exact_match(answer.answer, labels.answers):
            self.copied.update(documents)
        return dspy.Prediction(answer=answer.answer, status=answer.status, usd=answer.usage.usd)

    def writer(self) -> dspy.LM:
        """The model as an optimizer asks it itself, for instructions."""
        return dspy.LM(self.model, engine=WritingEngine(self), cache=False, num_retries=0, max_tokens=WRITTEN_TOKENS)

    def write(self, request: Request) -> Response:
        """One call of an optimizer's own. Raises `LakehopError` where a task's budget is too small for it."""
        writing = Writing(request)
        answer = self.wait(self._ask(writing, "", ShortAdapter()))
        if writing.response is None:
            raise LakehopError(
                f"what the optimizer asked the model was cut off: {answer.reason}. Raise LAKEHOP_TASK_MAX_USD or "
                "LAKEHOP_TASK_MAX_SECONDS."
            )
        return writing.response

    def score(self, program: dspy.Module, questions: Sequence[Question]) -> Score:
        """How the program does on the questions, unhinted."""
        return self.wait(self._score(program, questions))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the loop, in the caller's context: DSPy's trace is in there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        self.wait(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

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

    async def _score(self, program: dspy.Module, questions: Sequence[Question]) -> Score:
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(question: Question) -> tuple[bool, Decimal]:
            async with gate:
                with dspy.context(trace=None, lm=None):
                    answer = await self._ask(program, question.text, ShortAdapter())
                return scoring.success(answer.answer, question.answers), answer.usage.usd

        told = await asyncio.gather(*map(ask, questions))
        return Score(len(told), sum(is_right for is_right, _ in told), sum((usd for _, usd in told), Decimal(0)))


@dataclass(frozen=True)
class Worth:
    """What an answer is worth to an optimizer: 1 where it is right, less what it cost in successes.

    The price of a success is what the program paid before. A program whose sum is above 0 has more successes for a
    dollar than that one, and the greatest sum leads towards the greatest ratio (Dinkelbach
    1967, doi:10.1287/mnsc.13.7.492).
    """

    successes_per_usd: float

    @classmethod
    def beside(cls, before: Score) -> "Worth":
        """At the rate of the program as it was; where that got nothing right or cost nothing, success alone counts."""
        return cls(float(before.right / before.usd) if before.usd else 0.0)

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> float:
        """For a demonstration (DSPy then gives a trace) the answer must be right and short, for it will be copied."""
        if trace is not None:
            return float(scoring.exact_match(prediction.answer, example.answers))
        return scoring.success(prediction.answer, example.answers) - self.successes_per_usd * float(prediction.usd)

    def told(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: Any = None,
        pred_name: Any = None,
        pred_trace: Any = None,
    ) -> ScoreWithFeedback:
        """The same for GEPA, with words from which a model may learn what to change."""
        is_right = scoring.success(pred.answer, gold.answers)
        verdict = "Right" if is_right else f"Wrong: the right answer is {gold.answers[0]!r}"
        cost = f"It cost ${pred.usd:.8f}; a shorter instruction costs less."
        return ScoreWithFeedback(
            score=self(gold, pred), feedback=f"{verdict}. The program said {pred.answer!r}. {cost}"
        )


def optimized(
    workbench: Workbench,
    name: str,
    optimizer: Optimizer,
    current: dspy.Module,
    before: Score,
    train: Sequence[Question],
) -> dspy.Module:
    """The program as the optimizer would have it.

    Raises `LakehopError` where the model cannot write what the optimizer asks of it.
    """
    worth = Worth.beside(before)
    examples = [question.example() for question in _mixed(train)]
    held_back = len(examples) // 2  # to choose among candidates; the test questions stay unseen
    parts = {"trainset": examples[held_back:], "valset": examples[:held_back]}
    student, teacher = Asking(PROGRAMS[name]()), Asking(PROGRAMS[name]())
    demonstrations: dict[str, Any] = {
        "metric": worth,
        "max_bootstrapped_demos": DEMONSTRATIONS,
        "max_labeled_demos": 0,  # the labels say what to answer, not how the steps there look
        "teacher_settings": {"hinted": True},
    }
    lm = dspy.LM(name, engine=NoSyncEngine(), cache=False)
    with dspy.context(workbench=workbench, lm=lm, disable_history=True):
        try:
            match optimizer:
                case "bootstrap":
                    bootstrap = BootstrapFewShot(**demonstrations, max_rounds=ROUNDS)
                    compiled = bootstrap.compile(student, teacher=teacher, trainset=examples)
                case "random_search":
                    search = BootstrapFewShotWithRandomSearch(
                        **demonstrations, max_rounds=ROUNDS, num_candidate_programs=CANDIDATES, num_threads=AT_ONCE
                    )
                    compiled = search.compile(student, teacher=teacher, **parts)
                case "mipro":
                    mipro = MIPROv2(
                        **demonstrations, auto=None, num_candidates=CANDIDATES, num_threads=AT_ONCE, seed=SEED,
                        prompt_model=workbench.writer(),
                    )  # fmt: skip
                    compiled = mipro.compile(
                        student, teacher=teacher, **parts, num_trials=TRIALS, minibatch=False,
                        program_aware_proposer=False,  # it would read the code around the program, not its steps
                    )  # fmt: skip
                case "gepa":
                    gepa = GEPA(
                        worth.told, max_full_evals=CANDIDATES, num_threads=AT_ONCE, seed=SEED,
                        reflection_lm=workbench.writer(),
                    )  # fmt: skip
                    compiled = gepa.compile(Asking(current.deepcopy()), **parts)
        except AdapterParseError as error:
            raise LakehopError(
                f"optimizer {optimizer!r}: {workbench.model} did not write instructions in the form that it needs: "
                f"{one_line(error)}. Use bootstrap or random_search, which ask for none, or a larger model."
            ) from error
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


def _mixed(questions: Sequence[Question]) -> list[Question]:
    """In turn one of each number of gold documents, so that the first successes show all kinds."""
    by_size: dict[int, list[Question]] = {}
    for question in questions:
        by_size.setdefault(len(question.gold_ids), []).append(question)
    return [question for row in zip_longest(*by_size.values()) for question in row if question]


def _value(expression: str) -> str | None:
    try:
        return calculate(expression)
    except ToolFailed:
        return None
