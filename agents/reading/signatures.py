"""What the programs share: how they read, how they conclude, and what they say when there was nothing to read."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import dspy

from agents.prompting.constraints import SpanOf, SumOf, YesNoOr, is_sum
from agents.task.recorder import mark
from agents.tools.documents import PASSAGE_CHARACTERS
from lakehouse.index.index import Passage

if TYPE_CHECKING:
    from agents.task.task import Task

FOUND_PASSAGES = 20  # of a hop's search; few of them are read, the others tell which names have a document


class NothingFound(Exception):
    """The documents that the asker may read do not answer the question."""


class AnswerFromPassages(dspy.Signature):
    """Answer the question with words copied from the passages."""

    passages: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: Annotated[str, YesNoOr(SpanOf("passages"))] = dspy.OutputField(desc="a name, a number or a few words")


class ReadFact(dspy.Signature):
    """Copy from the passage the one fact that the question asks for. Say "none" when it is not there."""

    passage: str = dspy.InputField()
    closest: str = dspy.InputField(desc="the passage's sentence that shares most words with the question")
    question: str = dspy.InputField()
    fact: Annotated[str, YesNoOr(SpanOf("passage"))] = dspy.OutputField(desc="a name, a number or a few words")


class Conclude(dspy.Signature):
    """Give the fact that answers the question, or the sum to calculate from the facts, such as 3 + 4."""

    facts: list[str] = dspy.InputField(desc="what was found, as name: fact")
    question: str = dspy.InputField()
    answer: Annotated[str, YesNoOr(SumOf("facts"), or_none=False)] = dspy.OutputField()


async def concluded(predictor: dspy.Predict, task: "Task", facts: list[str], question: str, hop: int) -> str:
    """What follows from several facts; a sum is worked out by the calculator."""
    said = await predictor.acall(facts=facts, question=question, config=mark(hop))
    if is_sum(said.answer):
        return await task.calculate(said.answer, hop=hop) or str(said.answer)
    return str(said.answer)


async def read_at_once(predictor: dspy.Predict, question: str, passages: Sequence[Passage], hop: int) -> str:
    """What passages say together; "none" where the model finds nothing there."""
    texts = "\n\n".join(map(shown, passages))
    said = await predictor.acall(passages=texts, question=question, config=mark(hop, *passages))
    return str(said.answer)


def shown(passage: Passage) -> str:
    """As much of a passage as a small model reads at once."""
    return passage.text[:PASSAGE_CHARACTERS]
