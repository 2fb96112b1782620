"""Reading and concluding, for all programs: the signatures, and the calls that fill them."""

from collections.abc import Sequence
from typing import Annotated

import dspy

from agents.prompting.constraints import SpanOf, SumOf, YesNoOr, is_sum, stated_sum
from agents.task.purpose import ask_model
from agents.task.task import Task
from agents.tools.documents import PASSAGE_CHARACTERS
from lakehouse.index.passages import Passage
from lakehouse.text.sentences import closest_sentence

FOUND_PASSAGES = 20  # of a hop's search; few of them are read, the others show which names have a document


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


async def answer_from(
    predictor: dspy.Predict, text: str, question: str, *, passages: Sequence[Passage], hop: int
) -> str:
    """The answer in a text, by AnswerFromPassages; "none" without any. `passages`: the sources of the text."""
    prediction = await ask_model(predictor, hop=hop, reading=passages, passages=text, question=question)
    return str(prediction.answer)


async def read_together(predictor: dspy.Predict, passages: Sequence[Passage], question: str, *, hop: int) -> str:
    """The answer in several passages, read in one call; "none" without any."""
    return await answer_from(predictor, "\n\n".join(map(excerpt, passages)), question, passages=passages, hop=hop)


async def read_alone(
    predictor: dspy.Predict, passage: Passage, question: str, *, hop: int, focus: str | None = None
) -> str:
    """The fact in one passage, by ReadFact; "none" without any. The sentence closest to `focus` is pointed out."""
    text = excerpt(passage)
    closest = closest_sentence(text, question if focus is None else focus)
    prediction = await ask_model(
        predictor, hop=hop, reading=[passage], passage=text, closest=closest, question=question
    )
    return str(prediction.fact)


async def conclude_from(predictor: dspy.Predict, task: Task, facts: list[str], question: str, *, hop: int) -> str:
    """The answer that follows from several facts: by a sum that the question states, else by Conclude.

    The calculator evaluates a sum.
    """
    answer = stated_sum(facts, question)
    if not answer:
        prediction = await ask_model(predictor, hop=hop, facts=facts, question=question)
        answer = str(prediction.answer)
    if is_sum(answer):
        return await task.calculate(answer, hop=hop) or answer
    return answer


def excerpt(passage: Passage) -> str:
    """As much of a passage as a small model reads at once."""
    return passage.text[:PASSAGE_CHARACTERS]
