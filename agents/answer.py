"""What a task gives back: the answer, what supports it, every step taken, and what it cost.

These models are the JSON of `POST /ask` and of `lakehop ask --json`: a field is part of a contract that other
programs read.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, PlainSerializer

from lakehouse.index.passages import Passage

Status = Literal["answered", "partial", "refused", "failed"]
TaskStatus = Literal["queued", "running", "done", "failed", "cancelled"]
"""Where a durable task stands; `done` says nothing of its answer, which has a status of its own."""
READS_DOCUMENTS_ONLY = ("calculate", "debate", "fetch_document", "python", "quorum", "rerank")
"""Tools that bring nothing into a task but what stands in documents that it names, or follows from that."""
Usd = Annotated[Decimal, PlainSerializer(lambda usd: f"{usd:.10f}", return_type=str, when_used="json")]
"""US dollars; in JSON a string with ten places, because a float would not add up."""


class PassageRef(BaseModel, frozen=True):
    """Which passage a step found or read."""

    doc_id: str
    chunk_id: str
    title: str

    @classmethod
    def of(cls, passage: Passage) -> "PassageRef":
        return cls(doc_id=passage.doc_id, chunk_id=passage.chunk_id, title=passage.title)


class Citation(BaseModel, frozen=True):
    """Where the answer stands: `quote` is a span of that chunk's text, unaltered."""

    doc_id: str
    chunk_id: str
    quote: str


class Step(BaseModel, frozen=True):
    """One search, model call, tool call or note on the task's blackboard, in the order they ended.

    `started_at` is None for what took no time: a note, and a call that was refused.
    """

    kind: Literal["search", "chat", "tool", "note"]
    agent: str
    hop: int
    sub_task: str | None = None
    started_at: datetime | None = None
    attempt: int = 1
    query: str | None = None
    output: str | None = None
    passages: list[PassageRef] = []
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: Usd = Decimal(0)
    latency_ms: float
    error: str | None = None

    @property
    def found_nothing(self) -> bool:
        """Whether it brought no word into the task."""
        return not self.output and not self.error


class Usage(BaseModel, frozen=True):
    """Sums over the task's call records; `calls` counts model calls, failed ones and retries too."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: Usd = Decimal(0)


class Answer(BaseModel, frozen=True):
    """The end of a task. `partial`: a budget stopped it, this is the best so far; `refused`: nothing to answer from.

    `reason` says why, where a task is not simply answered.
    """

    answer: str
    status: Status
    reason: str | None = None
    citations: list[Citation]
    uncited: list[str] = []
    """Sentences of the answer that no citation carries; a number worked out from cited ones is carried."""
    steps: list[Step]
    usage: Usage
    latency_s: float
    task_id: str
    memory_id: str | None = None
    """Entry of the user's memory that keeps this answer; None: it is not kept."""

    def rests_on(self) -> set[str]:
        """Chunks that a model read for it, and those that it cites.

        Empty where it may rest on something else, too, of which no chunk tells who may know it: a table, another
        system.
        """
        used = {step.agent for step in self.steps if step.kind == "tool" and not step.found_nothing}
        if not used.issubset(READS_DOCUMENTS_ONLY):
            return set()
        read = {passage.chunk_id for step in self.steps if step.kind == "chat" for passage in step.passages}
        return read | {citation.chunk_id for citation in self.citations}


@dataclass(frozen=True)
class Event:
    """One line of a task's stream, sent as soon as it is true."""

    kind: Literal["step", "token", "citation", "usage"]
    data: dict[str, Any]


OnEvent = Callable[[Event], Awaitable[None] | None]
