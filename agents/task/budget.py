"""The caps of one task, in one object that all that it does is asked through: money, time, calls, tokens, steps, width.

A cap that is checked afterwards is a bill. So a model call is let through only if the dearest answer that it could
give still fits beside those that are under way, which keeps the caps exact where sub-tasks run at the same time; what
the call then really took is booked in its place.
"""

import time
from dataclasses import dataclass, field
from decimal import Decimal


class BudgetReached(Exception):
    """The next call would pass a cap; the text says which. The task ends with its best answer so far."""


@dataclass(frozen=True)
class Limits:
    """What one task may use up at most."""

    max_usd: Decimal
    max_seconds: float
    max_calls: int = 32  # model calls: a program that runs away ends here even where calls cost nothing
    max_tokens: int = 200_000  # 32 calls of a full context of 6,000 tokens; the local model holds 4,096
    max_steps: int = 96  # searches, tool calls and model calls: two actions around every model call
    max_fan_out: int = 4  # sub-tasks at a time: a replica on a CPU answers four at once as fast as one
    max_depth: int = 4  # sub-tasks that wait for one another: the longest questions known take four hops


@dataclass(frozen=True)
class Hold:
    """What a model call that is under way may take at most."""

    usd: Decimal
    tokens: int


@dataclass
class Budget:
    """Starts counting when it is made. Not for use from several threads: a task lives on one event loop."""

    limits: Limits
    spent_usd: Decimal = Decimal(0)
    tokens: int = 0
    calls: int = 0
    steps: int = 0
    _held_usd: Decimal = Decimal(0)
    _held_tokens: int = 0
    _started: float = field(default_factory=lambda: time.monotonic())

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def catch_up(self, elapsed_s: float) -> None:
        """Count at least so many seconds as used: those of a process that died, and not those until it was replaced."""
        self._started = min(self._started, time.monotonic() - elapsed_s)

    def seconds_left(self) -> float:
        """Seconds until the time cap; raises BudgetReached when there are none."""
        left = self.limits.max_seconds - self.elapsed_s
        if left <= 0:
            raise BudgetReached(f"max_seconds={self.limits.max_seconds:g} is used up")
        return left

    def allow_step(self, usd: Decimal = Decimal(0)) -> None:
        """Let a search or a tool call begin that costs `usd`, which is booked at once, or raise BudgetReached."""
        self._allow_step(usd)
        self.steps += 1
        self.spent_usd += usd

    def allow_call(self, worst_usd: Decimal, worst_tokens: int = 0) -> Hold:
        """Let a model call begin that takes so much at most, or raise BudgetReached; settle it when it has ended."""
        self._allow_step(worst_usd)
        limits = self.limits
        if self.calls >= limits.max_calls:
            raise BudgetReached(f"max_calls={limits.max_calls}: the task made {self.calls} model calls")
        if self.tokens + self._held_tokens + worst_tokens > limits.max_tokens:
            raise BudgetReached(
                f"max_tokens={limits.max_tokens}: {self.tokens} are used and the next call may take {worst_tokens}"
            )
        self.calls += 1
        self.steps += 1
        self._held_usd += worst_usd
        self._held_tokens += worst_tokens
        return Hold(worst_usd, worst_tokens)

    def settle(self, hold: Hold | None, usd: Decimal, tokens: int) -> None:
        """Book what a call took in place of what it might have taken; None: it was made before the process died."""
        if hold:
            self._held_usd -= hold.usd
            self._held_tokens -= hold.tokens
        else:
            self.calls += 1
            self.steps += 1
        self.spent_usd += usd
        self.tokens += tokens

    def _allow_step(self, usd: Decimal) -> None:
        self.seconds_left()
        if self.steps >= self.limits.max_steps:
            raise BudgetReached(f"max_steps={self.limits.max_steps}: the task took {self.steps} steps")
        if self.spent_usd + self._held_usd + usd > self.limits.max_usd:
            raise BudgetReached(
                f"max_usd={self.limits.max_usd}: ${self.spent_usd} is spent and the next call may cost ${usd}"
            )
