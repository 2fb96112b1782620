"""What the team's planner and critic ask the model."""

from typing import Annotated

import dspy

from agents.programs.team.plan import Plan
from agents.prompting.constraints import JsonAs, QuestionOr, SpanOf

COMPLETE = "complete"


class FindDescribed(dspy.Signature):
    """Copy the words of the question that describe one thing in place of its name. Say "none" where each thing is
    named."""

    question: str = dspy.InputField()
    described: Annotated[str, SpanOf("question")] = dspy.OutputField(desc="a few words of the question, or none")


class PlanTasks(dspy.Signature):
    """Cut the question into as few sub-tasks as it needs. A sub-task that uses what another found names that in
    needs, and writes {id} where the finding stands, or {each id} to be asked once for each name in it."""

    roles: list[str] = dspy.InputField(desc="role: what it does")
    refused: str = dspy.InputField(desc="what was wrong with the last plan, or none")
    question: str = dspy.InputField()
    plan: Annotated[str, JsonAs(Plan, max_tokens=700)] = dspy.OutputField(desc="JSON")


class AskForMore(dspy.Signature):
    """Say "complete" when the findings answer the question, else what is missing, as the one question still open."""

    facts: list[str] = dspy.InputField(desc="what was found, as name: fact")
    answer: str = dspy.InputField()
    question: str = dspy.InputField()
    open: Annotated[str, QuestionOr(COMPLETE)] = dspy.OutputField(
        desc='"complete", or "missing: " and a question of a few words'
    )
