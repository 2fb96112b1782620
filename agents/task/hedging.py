"""Calls that take far longer than their like are made once more, and whichever ends first counts.

One slow replica would otherwise set the pace of every task that meets it, for a task waits for the longest of its
calls. Few calls are made twice, so that a fleet that is slow because it is busy is not given twice the work (hedged
requests, after Dean and Barroso, The Tail at Scale, CACM 2013).
"""

from collections import defaultdict, deque
from functools import partial

REMEMBERED = 64  # calls of one kind; a fleet's pace changes within minutes
KNOWN = 16  # calls of a kind before any of it counts as slow
TIMES_USUAL = 3.0  # of what 19 of 20 calls take
LEAST_S = 0.5  # before that, nobody waits long enough to mind
SHARE = 0.05  # of all calls that may be made twice
SAVED_UP = 3.0  # of those at once


class Stragglers:
    """What calls take, by kind: the agent that makes them. One a process, used on one event loop."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=REMEMBERED))
        self._saved_up = SAVED_UP

    def ended(self, kind: str, seconds: float) -> None:
        """Learn from a call that came off."""
        self._seconds[kind].append(seconds)
        self._saved_up = min(SAVED_UP, self._saved_up + SHARE)

    def patience_s(self, kind: str) -> float | None:
        """How long to wait for a call before it is made again; None while too little is known."""
        known = self._seconds[kind]
        if len(known) < KNOWN:
            return None
        usual = sorted(known)[-1 - len(known) // 20]
        return max(LEAST_S, TIMES_USUAL * usual)

    def may_repeat(self) -> bool:
        """Whether one more call may be made twice now; then it counts as made."""
        if self._saved_up < 1:
            return False
        self._saved_up -= 1
        return True
