"""The result of a task: answer, citations, steps and cost.

These models are the JSON of `POST /ask` and of `lakehop ask --json`, so their fields are a contract with other
programs.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, PlainSerializer

from lakehouse.index.passages import Passage

Status = Literal["answered", "partial", "refused", "failed"]
Form = Literal["fact", "yes_no", "number", "list", "steps", "explanation", "comparison"]
"""The forms of an answer; `agents.question.forms` chooses one by the question where the caller names none."""
TaskStatus = Literal["queued", "running", "done", "failed", "cancelled"]
"""State of a durable task. The answer of a `done` task has a status of its own."""
NOTHING_FOUND = "The documents that you may read do not answer this."
READS_DOCUMENTS_ONLY = ("calculate", "debate", "fetch_document", "python", "quorum", "rerank")
"""Tools whose output comes from documents that the step names, or follows from them."""
Usd = Annotated[Decimal, PlainSerializer(lambda usd: f"{usd:.10f}", return_type=str, when_used="json")]
"""US dollars; in JSON a string with ten places, because a float would not add up."""


class PassageRef(BaseModel, frozen=True):
    """A passage without its text, in a step that found or read it."""

    doc_id: str
    chunk_id: str
    title: str

    @classmethod
    def of(cls, passage: Passage) -> "PassageRef":
        return cls(doc_id=passage.doc_id, chunk_id=passage.chunk_id, title=passage.title)


class Turn(BaseModel, frozen=True):
    """An earlier question of a conversation, and the answer that was given."""

    question: str
    answer: str


class Citation(BaseModel, frozen=True):
    """Evidence of the answer: `quote` is an unaltered span of the chunk's text.

    `heading`: the path of headings above it; `uri`: the document's address.
    """

    doc_id: str
    chunk_id: str
    quote: str
    title: str = ""
    heading: str = ""
    uri: str = ""

    @classmethod
    def of(cls, passage: Passage, quote: str) -> "Citation":
        return cls(
            doc_id=passage.doc_id,
            chunk_id=passage.chunk_id,
            quote=quote,
            title=passage.title,
            heading=passage.heading,
            uri=passage.uri,
        )


class Statement(BaseModel, frozen=True):
    """A sentence, row or code block of the answer, with its evidence: places in `Answer.citations`, from 0."""

    text: str
    citations: list[int]


class Step(BaseModel, frozen=True):
    """One search, model call, tool call or note on the task's blackboard. Steps stand in the order in which they ended.

    `started_at` is None for a note and for a refused call, which take no time. `usage_source`: who counted the tokens
    of a model call, the `server`, or we where it told none: `counted` by the model's tokenizer, or `estimated`.
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
    usage_source: str | None = None
    usd: Usd = Decimal(0)
    latency_ms: float
    error: str | None = None

    @property
    def found_nothing(self) -> bool:
        """Whether the step brought no text into the task."""
        return not self.output and not self.error


class Usage(BaseModel, frozen=True):
    """Sums over the task's call records; `calls` counts model calls, failed calls and retries included."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: Usd = Decimal(0)


class Answer(BaseModel, frozen=True):
    """The end of a task. `partial`: the best answer when a budget ended; `refused`: no document answers the question.

    `reason` explains any status but `answered`.
    """

    answer: str
    status: Status
    reason: str | None = None
    form: Form | None = None
    question: str | None = None
    """The question as it was understood, where earlier turns were needed to complete it."""
    citations: list[Citation]
    statements: list[Statement] = []
    """A written answer's parts in their order; empty where the answer is a fact copied from the documents."""
    dropped: list[str] = []
    """Sentences that the model wrote and that no cited passage supports; the answer is without them."""
    nearest: list[Citation] = []
    """Of a refused question: what the nearest documents say, which is no answer."""
    documents_read: int | None = None
    """Of a list: how many documents the model was shown, or were quoted."""
    documents_left: int | None = None
    """Of a list: how many more documents were found and not read."""
    uncited: list[str] = []
    """Sentences of the answer without a citation; a number calculated from cited numbers counts as cited."""
    steps: list[Step]
    usage: Usage
    latency_s: float
    task_id: str
    memory_id: str | None = None
    """Entry of the user's memory that keeps this answer; None when none does."""

    def rests_on(self) -> set[str]:
        """Ids of the chunks that a model read for the answer or that it cites.

        Empty when the answer may rest on another source (a table, another system), whose readers no chunk tells.
        """
        used = {step.agent for step in self.steps if step.kind == "tool" and not step.found_nothing}
        if not used.issubset(READS_DOCUMENTS_ONLY):
            return set()
        read = {passage.chunk_id for step in self.steps if step.kind == "chat" for passage in step.passages}
        return read | {citation.chunk_id for citation in self.citations}


@dataclass(frozen=True)
class Event:
    """One line of a task's stream, sent at once."""

    kind: Literal["step", "token", "citation", "usage"]
    data: dict[str, Any]


OnEvent = Callable[[Event], Awaitable[None] | None]
