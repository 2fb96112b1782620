"""The contract of a tool: what the runner needs to call it safely, and a model to choose it.

A tool is a remote call, even where it runs in this process: it has an input schema, a time limit, a retry policy, a
price, and a degree of trust. The caller is in its context and never among its arguments, which a model writes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

from lakehouse.access.permissions import Caller
from lakehouse.index.passages import Passage
from lakehouse.index.search_filters import SearchFilters
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings

Trust = Literal["ours", "strangers"]


class ToolFailed(Exception):
    """The tool cannot do this; the text says what the model can do instead. Not a fault, so not retried."""


@dataclass(frozen=True)
class Retry:
    """Attempts at a call that breaks, and the waits between them. Jitter spreads the retries of many tasks."""

    attempts: int = 3
    first_wait_s: float = 0.2
    longest_wait_s: float = 2.0


@dataclass(frozen=True)
class ToolResult:
    """A tool's output: text for a model, and the passages where it read documents."""

    text: str
    passages: tuple[Passage, ...] = ()
    empty: bool = False
    """The tool found nothing and its text says so: no answer can rest on it."""


@dataclass(frozen=True)
class ToolContext:
    """The caller, and the parts that a tool uses. `idempotency_key` is the same for equal calls of a task."""

    caller: Caller
    settings: Settings
    retriever: Retriever
    idempotency_key: str
    seconds: float
    filters: SearchFilters | None = None
    """What the asker narrowed the documents to."""


@dataclass(frozen=True)
class Tool:
    """The contract. `run` gets arguments that passed the schema; any error of it but `ToolFailed` is a fault."""

    name: str
    description: str
    """One or two sentences for a model: what the tool does and returns."""
    arguments: type[BaseModel]
    run: Callable[[Any, ToolContext], Awaitable[ToolResult]]
    timeout_s: float
    effects: Literal["none", "side effects"] = "none"
    """Whether a call changes anything outside. A call with side effects is never retried."""
    retry: Retry = field(default_factory=Retry)
    """For tools without side effects; other tools are called once."""
    usd: Decimal = Decimal(0)
    """Price of a call, US dollars."""
    trust: Trust = "ours"
    """`strangers`: others wrote its output, which may hold instructions."""
    kind: Literal["search", "tool"] = "tool"
    """The kind of its steps and records."""

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, without pydantic's titles, which would cost a small model tokens."""
        return _schema(self.arguments)


@dataclass(frozen=True)
class Observation:
    """The outcome of a call, for a model. `ok` False: `text` gives the error and the next step."""

    tool: str
    text: str
    ok: bool = True
    passages: tuple[Passage, ...] = ()
    empty: bool = False
    repeated: bool = False
    """The same call was made before; this is its observation."""

    def for_model(self) -> str:
        """The text for a model."""
        return f"{self.text}\nYou asked this before. Do something else." if self.repeated else self.text


@cache
def _schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """Cached: a model reads it at each turn, and pydantic would compute it anew each time."""
    schema = arguments.model_json_schema()
    fields = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    return {key: schema[key] for key in ("type", "required") if key in schema} | {
        "properties": fields,
        "additionalProperties": False,
    }
