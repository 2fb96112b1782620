"""The critic: reviews the findings that its sub-task needs."""

from collections.abc import Sequence
from typing import Annotated

import dspy

from agents.programs.team.findings import Finding
from agents.prompting.constraints import OneOf
from agents.task.purpose import ask_model
from agents.task.task import Task


class Review(dspy.Signature):
    """Do the facts hold together, as the question asks?"""

    known: list[str] = dspy.InputField(desc="what was found, as name: fact")
    question: str = dspy.InputField()
    verdict: Annotated[str, OneOf(("doubtful", "holds"))] = dspy.OutputField(desc="holds or doubtful")


class Critic(dspy.Module):
    """Say whether the findings hold together."""

    def __init__(self) -> None:
        super().__init__()
        self.review = dspy.Predict(Review, agent="review")

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        """See `agents.programs.team.roles.Specialist`."""
        prediction = await ask_model(self.review, hop=hop, known=list(known), question=question)
        return Finding(prediction.verdict)
