"""Detects a task that goes in circles: the same tool call again, or the same reply to the same prompt.

A small model that learned nothing from an observation asks for it again. The second time the model is warned; the third
time the task ends with its best answer and the reason, instead of using up its budget.
"""

import hashlib
from collections import Counter

from agents.task.budget import BudgetReached

MAX_REPEATS = 3


class LoopDetected(BudgetReached):
    """The task repeated an action after a warning; the text names the action."""


class LoopDetector:
    """Counts the actions of one task."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def note(self, what: str, *parts: str) -> int:
        """Count an action and return its count. Raises LoopDetected naming `what` at the third time.

        `parts` may hold questions and passages, so only their hash is kept.
        """
        digest = hashlib.sha256("\x00".join((what, *parts)).encode("utf-8", "replace")).hexdigest()
        self._counts[digest] += 1
        if self._counts[digest] >= MAX_REPEATS:
            raise LoopDetected(f"{what} the same way {MAX_REPEATS} times brought nothing new")
        return self._counts[digest]
