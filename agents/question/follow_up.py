"""A follow-up (*and under which licence?*) as a question of its own, in at most one model call.

Only the last turns are read, each cut to a length, so that the cost of a turn does not grow with the conversation. A
question that stands by itself is left as it is and costs nothing. The model may only rearrange words of the
conversation: a rewritten question with any other word is given up for the question beside the one before it, which
finds the same documents.
"""

import re
from collections.abc import Sequence
from typing import Annotated

import dspy

from agents.answer import Turn
from agents.prompting.constraints import OneLine
from agents.task.purpose import ask_model
from agents.task.task import Task
from lakehouse.text.terms import terms

TURNS = 3
TURN_CHARACTERS = 300  # of a question, and of an answer
_SHORT = 2  # a question of fewer terms has its subject elsewhere
# Words that point back, and beginnings that go on: English, German, French, Spanish.
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|him|his|she|her|hers|there|ones?|latter|former|same|"
    r"er|ihn|ihm|sie|ihr|ihre[mnrs]?|dessen|deren|diese[mnrs]?|dort|davon|dafür|dazu|damit|darin|"
    r"il|elle|ils|elles|celui|celle|ceux|celles|cela|ça|eso|esto|ese|esa|esos|esas|ellos|ellas)\b"
    r"|^\W*(?:and|but|so|or|what about|how about|und|aber|et|mais|y|pero|e)\b",
    re.IGNORECASE,
)


class CompleteQuestion(dspy.Signature):
    """Write the last question so that it can be understood without the conversation. Use only words of the
    conversation and of the question. Do not answer it."""

    conversation: str = dspy.InputField()
    last_question: str = dspy.InputField()
    complete: Annotated[str, OneLine()] = dspy.OutputField()


class FollowUp:
    """Completes follow-ups with the last turns of their conversation."""

    def __init__(self) -> None:
        self._complete = dspy.Predict(CompleteQuestion, agent="complete")

    async def standalone(self, task: Task, question: str) -> str:
        """The question, complete without the task's history."""
        if not task.history or not needs_history(question):
            return question
        last = task.history[-TURNS:]
        conversation = _conversation(last)
        complete = ""
        if task.writes_answers:
            said = await ask_model(self._complete, hop=0, conversation=conversation, last_question=question)
            complete = str(said.complete)
        if not complete or not set(terms(complete)) <= set(terms(f"{conversation} {question}")):
            complete = f"{last[-1].question.strip()[:TURN_CHARACTERS]} {question}"
        task.understood = complete
        return complete


def needs_history(question: str) -> bool:
    """Whether a question refers to what was said before, or names nothing by itself."""
    return _POINTS_BACK.search(question) is not None or len(set(terms(question))) < _SHORT


def _conversation(turns: Sequence[Turn]) -> str:
    return "\n".join(
        f"Question: {turn.question[:TURN_CHARACTERS]}\nAnswer: {turn.answer[:TURN_CHARACTERS]}" for turn in turns
    )
