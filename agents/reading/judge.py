"""A judge of answers: does the evidence state what the answer claims?

A judgement is a task of a program of its own, so that its cost is apart on the bill. The model is held to yes or no;
anything else is no judgement.
"""

from collections.abc import Sequence
from typing import Annotated

import dspy

from agents.prompting.constraints import OneOf
from agents.reading.answerability import NothingFound
from agents.task.purpose import ask_model

JUDGE = "judge"


class Support(dspy.Signature):
    """Does the evidence say that this is the answer to the question? yes or no."""

    evidence: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.InputField()
    supported: Annotated[str, OneOf(("yes", "no"), other="")] = dspy.OutputField(desc="yes or no")


class Judge(dspy.Module):
    """Judge one answer in one call; the judgement is yes or no."""

    def __init__(self, answer: str, evidence: Sequence[str]) -> None:
        super().__init__()
        self.support = dspy.Predict(Support, agent=JUDGE)
        self._answer, self._evidence = answer, "\n".join(evidence)

    async def aforward(self, question: str) -> dspy.Prediction:
        prediction = await ask_model(
            self.support, hop=0, evidence=self._evidence, question=question, answer=self._answer
        )
        if not prediction.supported:
            raise NothingFound("the judge said neither yes nor no")
        return dspy.Prediction(answer=prediction.supported)
