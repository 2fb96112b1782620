"""DSPy's optimizers over our programs, a function each. `OPTIMIZERS` names them for the command line.

`bootstrap` and `random_search` copy demonstrations from the teacher's right answers; `mipro` and `gepa` also let the
model write instructions.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import dspy
from dspy.teleprompt import GEPA, BootstrapFewShot, BootstrapFewShotWithRandomSearch, MIPROv2
from dspy.utils.exceptions import AdapterParseError

from agents.compile.scores import Score, Worth
from agents.compile.workbench import AT_ONCE, SyncProgram, Workbench
from agents.llm.engine import NoSyncEngine
from agents.programs import PROGRAMS
from agents.task.recorder import one_line
from lakehouse.errors import LakehopError
from lakehouse.text.questions import LabelledQuestion

SEED = 7  # so that a compilation can be repeated, as far as the model's server repeats itself
DEMONSTRATIONS = 50  # as many as there are: the adapter picks those most like the question
ROUNDS = 3  # tries of the teacher at one question; from the second on with temperature 1
CANDIDATES = 4  # of the random search, beside the three that DSPy adds; of MIPRO's instructions; of GEPA's rounds
TRIALS = 12  # of MIPRO's choices among instructions and demonstrations
_ADDRESS = re.compile(r"\w+://[^\s<>)\]]*")


@dataclass(frozen=True)
class Compilation:
    """What an optimizer works with. `current`: the program that answers now; `student` and `teacher`: fresh ones."""

    workbench: Workbench
    worth: Worth
    current: dspy.Module
    student: SyncProgram
    teacher: SyncProgram
    examples: Sequence[dspy.Example]

    @property
    def halves(self) -> dict[str, Sequence[dspy.Example]]:
        """Examples to train on, and others to choose among candidates by. The test questions stay unseen."""
        held_back = len(self.examples) // 2
        return {"trainset": self.examples[held_back:], "valset": self.examples[:held_back]}

    @property
    def demonstrations(self) -> dict[str, Any]:
        """Options of every optimizer that copies demonstrations."""
        return {
            "metric": self.worth,
            "max_bootstrapped_demos": DEMONSTRATIONS,
            "max_labeled_demos": 0,  # labels hold the answer to the question, none to the program's steps
            "teacher_settings": {"hinted": True},
        }


def bootstrap(given: Compilation) -> SyncProgram:
    """Each of the teacher's right answers becomes a demonstration."""
    optimizer = BootstrapFewShot(**given.demonstrations, max_rounds=ROUNDS)
    return optimizer.compile(given.student, teacher=given.teacher, trainset=given.examples)


def random_search(given: Compilation) -> SyncProgram:
    """The best of several random sets of demonstrations."""
    optimizer = BootstrapFewShotWithRandomSearch(
        **given.demonstrations, max_rounds=ROUNDS, num_candidate_programs=CANDIDATES, num_threads=AT_ONCE
    )
    return optimizer.compile(given.student, teacher=given.teacher, **given.halves)


def mipro(given: Compilation) -> SyncProgram:
    """The best of several pairs of demonstrations and instructions; the model writes the instructions."""
    optimizer = MIPROv2(
        **given.demonstrations,
        auto=None,
        num_candidates=CANDIDATES,
        num_threads=AT_ONCE,
        seed=SEED,
        prompt_model=given.workbench.optimizer_lm(),
    )
    return optimizer.compile(
        given.student,
        teacher=given.teacher,
        **given.halves,
        num_trials=TRIALS,
        minibatch=False,
        program_aware_proposer=False,  # it would read the source around the program, not its steps
    )


def gepa(given: Compilation) -> SyncProgram:
    """The current program with better instructions: the model rewrites them after reading whole runs."""
    optimizer = GEPA(
        given.worth.with_feedback,
        max_full_evals=CANDIDATES,
        num_threads=AT_ONCE,
        seed=SEED,
        reflection_lm=given.workbench.optimizer_lm(),
    )
    return optimizer.compile(SyncProgram(given.current.deepcopy()), **given.halves)


OPTIMIZERS: dict[str, Callable[[Compilation], SyncProgram]] = {
    "bootstrap": bootstrap,
    "random_search": random_search,
    "mipro": mipro,
    "gepa": gepa,
}
SEES_WHOLE_RUNS = ("gepa",)
"""These may quote any document that was read, and go on from the current program."""


def optimize(
    workbench: Workbench,
    name: str,
    optimizer: str,
    current: dspy.Module,
    before: Score,
    train: Sequence[LabelledQuestion],
) -> dspy.Module:
    """The program as the optimizer changes it. `before`: the score of the current one.

    Raises LakehopError where the model cannot write the instructions that the optimizer asks for.
    """
    given = Compilation(
        workbench,
        Worth.beside(before),
        current,
        student=SyncProgram(PROGRAMS[name]()),
        teacher=SyncProgram(PROGRAMS[name]()),
        examples=[example_of(question) for question in _interleaved(train)],
    )
    lm = dspy.LM(name, engine=NoSyncEngine(), cache=False)
    with dspy.context(workbench=workbench, lm=lm, disable_history=True):
        try:
            compiled = OPTIMIZERS[optimizer](given)
        except AdapterParseError as error:
            raise LakehopError(
                f"optimizer {optimizer!r}: {workbench.model} did not write instructions in the form that it needs: "
                f"{one_line(error)}. Use bootstrap or random_search, which ask for none, or a larger model."
            ) from error
    return _without_addresses(compiled.program)


def example_of(question: LabelledQuestion) -> dspy.Example:
    """A question in DSPy's form."""
    return dspy.Example(question=question.text, answers=question.answers).with_inputs("question")


def _without_addresses(program: dspy.Module) -> dspy.Module:
    """The program without web addresses in its demonstrations: they cost tokens and teach nothing."""
    for predictor in program.predictors():
        predictor.demos = [
            dspy.Example(
                {name: _ADDRESS.sub("", text) if isinstance(text, str) else text for name, text in demo.items()}
            )
            for demo in predictor.demos
        ]
    return program


def _interleaved(questions: Sequence[LabelledQuestion]) -> list[LabelledQuestion]:
    """Questions of one, two, three … gold documents in turn, so that the first successes are of every kind."""
    by_size: dict[int, list[LabelledQuestion]] = {}
    for question in questions:
        by_size.setdefault(len(question.gold_ids), []).append(question)
    return [question for row in zip_longest(*by_size.values()) for question in row if question]
