"""The caps of one task: money, seconds and model calls, checked before each call is made.

A cap that is checked afterwards is a bill. So a model call is let through only if the dearest answer that it could
give still fits, which keeps the money cap exact; what the call then really cost is booked in its place.
"""

import time
from decimal import Decimal

MAX_MODEL_CALLS = 32  # a program that runs away ends here even where calls cost nothing


class BudgetReached(Exception):
    """The next call would pass a cap; the text says which."""


class Budget:
    """Starts counting when it is made. Not for use from several threads: a task lives on one event loop."""

    def __init__(self, max_usd: Decimal, max_seconds: float) -> None:
        self._max_usd = max_usd
        self._max_seconds = max_seconds
        self._started = time.monotonic()
        self.spent_usd = Decimal(0)
        self.calls = 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def seconds_left(self) -> float:
        """Seconds until the time cap; raises BudgetReached when there are none."""
        left = self._max_seconds - self.elapsed_s
        if left <= 0:
            raise BudgetReached(f"max_seconds={self._max_seconds:g} is used up")
        return left

    def allow_call(self, worst_usd: Decimal) -> None:
        """Let a model call that costs at most `worst_usd` begin, or raise BudgetReached."""
        self.seconds_left()
        if self.calls >= MAX_MODEL_CALLS:
            raise BudgetReached(f"the task made {self.calls} model calls, as many as one may")
        if self.spent_usd + worst_usd > self._max_usd:
            raise BudgetReached(
                f"max_usd={self._max_usd}: ${self.spent_usd} is spent and the next call may cost ${worst_usd}"
            )
        self.calls += 1

    def charge(self, usd: Decimal) -> None:
        """Book what a call cost."""
        self.spent_usd += usd
