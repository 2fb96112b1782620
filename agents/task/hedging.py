"""Hedged model calls: a call that takes far longer than usual is made once more, and the first success counts.

One slow replica would otherwise set the pace of every task that meets it, for a task waits for its longest call. Few
calls are made twice, so that a busy fleet is not given twice the work (hedged requests: Dean and Barroso, The Tail at
Scale, CACM 2013).
"""

from collections import defaultdict, deque
from functools import partial

WINDOW = 64  # latest calls of an agent; a fleet's pace changes within minutes
MIN_CALLS = 16  # calls of an agent before any of them counts as slow
TIMES_USUAL = 3.0  # times the 95th percentile of the window
MIN_PATIENCE_S = 0.5  # a user does not notice a shorter wait
HEDGED_SHARE = 0.05  # of all calls may be made twice
MAX_SAVED = 3.0  # unused second calls, kept for later


class Hedging:
    """Durations of model calls by agent. One per process, used on one event loop."""

    def __init__(self) -> None:
        self._durations_s: dict[str, deque[float]] = defaultdict(partial(deque, maxlen=WINDOW))
        self._saved = MAX_SAVED

    def observe(self, agent: str, duration_s: float) -> None:
        """Learn from a call that succeeded."""
        self._durations_s[agent].append(duration_s)
        self._saved = min(MAX_SAVED, self._saved + HEDGED_SHARE)

    def patience_s(self, agent: str) -> float | None:
        """Seconds to wait before a call is made again; None while too few calls are known."""
        durations_s = self._durations_s[agent]
        if len(durations_s) < MIN_CALLS:
            return None
        usual_s = sorted(durations_s)[-1 - len(durations_s) // 20]
        return max(MIN_PATIENCE_S, TIMES_USUAL * usual_s)

    def take_second_call(self) -> bool:
        """Whether a call may be made twice now; if so, it counts as made."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
