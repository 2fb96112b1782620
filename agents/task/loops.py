"""Who goes in circles: the same tool with the same arguments, or the same words of the model to the same prompt.

A small model that learned nothing from an answer asks for it again. Once it is told so, for it may still turn; then
the task ends with what it has and says why, instead of using up its budget.
"""

import hashlib
from collections import Counter

from agents.task.budget import BudgetReached

MAX_REPEATS = 3


class LoopDetected(BudgetReached):
    """The task did the same thing again after it was told; the text says what."""


class LoopDetector:
    """Counts what a task did; one a task."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def note(self, what: str, *parts: str) -> int:
        """How often this was done, this time included. Raises LoopDetected naming `what` at the third time.

        `parts` may hold what was asked and read, so only their hash is kept, and only `what` is told.
        """
        digest = hashlib.sha256("\x00".join((what, *parts)).encode("utf-8", "replace")).hexdigest()
        self._seen[digest] += 1
        if self._seen[digest] >= MAX_REPEATS:
            raise LoopDetected(f"{what} the same way {MAX_REPEATS} times brought nothing new")
        return self._seen[digest]
