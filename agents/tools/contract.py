"""What a tool declares of itself, so that the runner can call it safely and a model can be told of it.

A tool is a remote call, even where it runs in this process: it has an input schema, a time limit, a way to be
repeated, a price, and a degree of trust. Whom it acts for is in its context and never among its arguments, which a
model writes.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

from lakehouse.access.permissions import Caller
from lakehouse.index.index import Passage
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings


class ToolFailed(Exception):
    """The tool cannot do this; the text tells the model what it can do. No fault of the tool's: no retry."""


@dataclass(frozen=True)
class Retry:
    """How often a call that broke is made again, and how long after. Jitter keeps many tasks from coming at once."""

    attempts: int = 3
    first_wait_s: float = 0.2
    longest_wait_s: float = 2.0


@dataclass(frozen=True)
class ToolResult:
    """What a tool found, as text for a model; passages where it read documents."""

    text: str
    passages: tuple[Passage, ...] = ()
    empty: bool = False
    """Nothing was found; the text says so, and no answer can rest on it."""


@dataclass(frozen=True)
class ToolContext:
    """On whose behalf a tool runs, and with what. `idempotency_key` is the same for the same call of the same task."""

    caller: Caller
    settings: Settings
    retriever: Retriever
    idempotency_key: str
    seconds: float


@dataclass(frozen=True)
class Tool:
    """The contract. `run` gets arguments that have passed the schema; what it raises beside `ToolFailed` is a fault."""

    name: str
    description: str
    """One or two sentences for a model: what it does and what comes back."""
    arguments: type[BaseModel]
    run: Callable[[Any, ToolContext], Awaitable[ToolResult]]
    timeout_s: float
    effects: Literal["none", "side effects"] = "none"
    """Whether a call changes anything outside. One with side effects is never repeated by itself."""
    retry: Retry = field(default_factory=Retry)
    """For tools without side effects; the others are called once."""
    usd: Decimal = Decimal(0)
    """What one call costs, US dollars."""
    trust: Literal["ours", "strangers"] = "ours"
    """`strangers`: its output may hold what somebody else wrote, instructions among it."""
    kind: Literal["search", "tool"] = "tool"
    """What its steps and records are called."""

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, without the titles that pydantic adds: a small model would read them."""
        return _schema(self.arguments)


@dataclass(frozen=True)
class Observation:
    """What came of a call, fit to be shown to a model. `ok` False: `text` says what went wrong and what to do next."""

    tool: str
    text: str
    ok: bool = True
    passages: tuple[Passage, ...] = ()
    empty: bool = False
    repeated: bool = False
    """The same call was made before: this is what it said then."""

    def shown(self) -> str:
        """The text for a model."""
        return f"{self.text}\nYou asked this before. Do something else." if self.repeated else self.text


@cache
def _schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """Kept, for pydantic works it out anew each time, and a model is told of it at each turn."""
    schema = arguments.model_json_schema()
    fields = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    return {key: schema[key] for key in ("type", "required") if key in schema} | {
        "properties": fields,
        "additionalProperties": False,
    }
