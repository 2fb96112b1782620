"""A task's actions, under way and done: searches, tool calls and model calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from agents.answer import PassageRef, Step
from lakehouse.index.passages import Passage


@dataclass
class Action:
    """An action under way. Its work fills in the result: output, passages, tokens, price."""

    kind: Literal["search", "tool", "chat"]
    agent: str
    hop: int
    query: str | None = None
    attempt: int = 1
    usd: Decimal = Decimal(0)
    output: str | None = None
    reading: tuple[PassageRef, ...] = ()
    """Passages in the prompt of a model call."""
    passages: tuple[Passage, ...] = ()
    """Passages that a search or a tool returned."""
    empty: bool = False
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usage_source: str | None = None
    """Of a model call that was answered: who counted the tokens, as in `silver.llm_calls`."""
    work_ended: bool = False
    """Only its record is still to be written."""
    beaten: bool = False
    """Cancelled because another attempt succeeded first; its cost counts all the same."""


class Beaten(Exception):
    """Another attempt ended first."""


@dataclass(frozen=True)
class Attempt:
    """An action and the work that fills it in."""

    action: Action
    work: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Done:
    """The result of an action. It pickles: the journal of a durable task keeps it."""

    step: Step
    passages: tuple[Passage, ...] = ()
    empty: bool = False
    failure: Exception | None = None
