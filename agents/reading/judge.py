"""A judge of answers: does the evidence that an answer rests on say what it claims?

It is a task as any other, of a program of its own, so that its money stands apart on the bill. It is held to yes or no,
and what is neither is no judgement.
"""

from collections.abc import Sequence
from typing import Annotated

import dspy

from agents.prompting.constraints import OneOf
from agents.reading.signatures import NothingFound

JUDGE = "judge"


class Support(dspy.Signature):
    """Does the evidence say that this is the answer to the question? yes or no."""

    evidence: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: str = dspy.InputField()
    supported: Annotated[str, OneOf(("yes", "no"), other="")] = dspy.OutputField(desc="yes or no")


class Judge(dspy.Module):
    """Judges one answer, in one call; its own answer is yes or no."""

    def __init__(self, answer: str, evidence: Sequence[str]) -> None:
        super().__init__()
        self.support = dspy.Predict(Support, agent=JUDGE)
        self._answer, self._evidence = answer, "\n".join(evidence)

    async def aforward(self, question: str) -> dspy.Prediction:
        said = await self.support.acall(evidence=self._evidence, question=question, answer=self._answer)
        if not said.supported:
            raise NothingFound("the judge said neither yes nor no")
        return dspy.Prediction(answer=said.supported)
