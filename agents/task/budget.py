"""The caps of one task: money, time, calls, tokens, steps, fan-out. Every action asks here before it begins.

A cap that is checked afterwards is a bill. So a model call may begin only if its worst case fits beside the calls under
way, which keeps the caps exact while sub-tasks run side by side. Its real cost is booked when it has ended.
"""

import time
from dataclasses import dataclass, field
from decimal import Decimal


class BudgetReached(Exception):
    """The next action would pass a cap, which the text names. The task ends with its best answer so far."""


@dataclass(frozen=True)
class Limits:
    """Caps of one task."""

    max_usd: Decimal
    max_seconds: float
    max_calls: int = 32  # model calls: ends a program that runs away where calls cost nothing
    max_tokens: int = 200_000  # 32 calls of a full context of 6,000 tokens; the local model holds 4,096
    max_steps: int = 96  # searches, tool calls and model calls: two actions around every model call
    max_fan_out: int = 4  # sub-tasks at a time: a replica on a CPU answers four at once as fast as one
    max_depth: int = 4  # sub-tasks in a chain: the longest known questions take four hops


@dataclass(frozen=True)
class Hold:
    """The worst case of a model call under way."""

    usd: Decimal
    tokens: int


@dataclass
class Budget:
    """Counts from its creation. Use it on the task's event loop only."""

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
        """Count at least so many seconds as used. A resumed task adds the time of the process that died."""
        self._started = min(self._started, time.monotonic() - elapsed_s)

    def seconds_left(self) -> float:
        """Seconds until the time cap; raises BudgetReached when there are none."""
        left = self.limits.max_seconds - self.elapsed_s
        if left <= 0:
            raise BudgetReached(f"max_seconds={self.limits.max_seconds:g} is used up")
        return left

    def allow_step(self, usd: Decimal = Decimal(0)) -> None:
        """Let a search or a tool call of this price begin and book the price, or raise BudgetReached."""
        self._allow_step(usd)
        self.steps += 1
        self.spent_usd += usd

    def allow_call(self, worst_usd: Decimal, worst_tokens: int = 0) -> Hold:
        """Hold the worst case of a model call, or raise BudgetReached. Settle the hold when the call has ended."""
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
        """Book the real cost of a call in place of its hold; None: the call was made before the process died."""
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
