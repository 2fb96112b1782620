"""The prompts of written answers, one signature a form. Their fields are the same, so that one call serves them all."""

from typing import Annotated

import dspy

from agents.answer import Form
from agents.writing.drafts import CitedLines


class Explain(dspy.Signature):
    """Answer the question from the numbered passages, in two to five short sentences, each on a line of its own and
    ending with the number of its passage in brackets. Write in the language of the question. Use only what the
    passages say. Write "none" when they do not answer the question."""

    passages: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: Annotated[str, CitedLines("explanation")] = dspy.OutputField()


class GiveSteps(dspy.Signature):
    """Tell how to do what the question asks, from the numbered passages: one step a line, in order, each ending with
    the number of its passage in brackets. Where a code block belongs, write its name alone on a line, such as "code 1".
    Write in the language of the question. Use only what the passages say. Write "none" when they do not tell how."""

    passages: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: Annotated[str, CitedLines("steps")] = dspy.OutputField()


class ListAll(dspy.Signature):
    """List everything in the numbered passages that the question asks for: one item a line, as short as the passage
    names it, each ending with the number of its passage in brackets. Leave out what the question does not ask for.
    Write "none" when the passages name no such item."""

    passages: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: Annotated[str, CitedLines("list")] = dspy.OutputField()


class Compare(dspy.Signature):
    """Compare the two things of the question by the numbered passages: a row for each point in which they differ, as
    | point | first | second | and the numbers of the passages in brackets. Write in the language of the question. Use
    only what the passages say. Write "none" when they do not tell."""

    passages: str = dspy.InputField()
    sides: list[str] = dspy.InputField(desc="the first and the second")
    question: str = dspy.InputField()
    answer: Annotated[str, CitedLines("comparison")] = dspy.OutputField()


SIGNATURES: dict[Form, type[dspy.Signature]] = {
    "explanation": Explain,
    "steps": GiveSteps,
    "list": ListAll,
    "comparison": Compare,
}
