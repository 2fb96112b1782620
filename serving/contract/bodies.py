"""Request and response bodies of the HTTP endpoints, beside `agents.answer.Answer`. Annotations hold the bounds.

An unknown field is an error: a misspelt `max_usd` would otherwise be noticed only on the bill.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agents.answer import Form, Turn, Usage
from lakehouse.index.search_filters import MAX_CHARACTERS as MAX_CHARACTERS_OF_VALUE
from lakehouse.index.search_filters import MAX_VALUES, SearchFilters
from lakehouse.retrieval.by_document import MAX_PASSAGES
from lakehouse.retrieval.paging import MAX_SHOWN, MAX_TOKEN_CHARACTERS
from lakehouse.settings import MAX_EVIDENCE, MAX_QUORUM, MAX_TASK_SECONDS, Program
from lakehouse.state.memory import MAX_CHARACTERS

MAX_QUESTION_CHARACTERS = 8_000
MAX_EVIDENCE_CHARACTERS = 4_000
MAX_TURNS = 200
MAX_TURN_ANSWER_CHARACTERS = 32_000

QuestionText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION_CHARACTERS),
    Field(
        description=f"The question, 1 to {MAX_QUESTION_CHARACTERS:,} characters after stripping.",
        examples=["Under which licence is the library that renders templates for Flask published?"],
    ),
]


FilterValues = Annotated[
    list[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CHARACTERS_OF_VALUE)]],
    Field(min_length=1, max_length=MAX_VALUES),
]


class Filters(BaseModel):
    """Documents that a search may return, among those that the asker may read; all given fields must be met."""

    model_config = ConfigDict(extra="forbid")

    source: FilterValues | None = Field(None, description="Names of sources, any of them, e.g. `wiki`.")
    document_type: FilterValues | None = Field(
        None, description="Formats by their usual suffix, any of them, e.g. `pdf`, `md`; lines and rows: `record`."
    )
    author: FilterValues | None = Field(None, description="Authors as results show them, any of them.")
    updated_after: datetime | None = Field(
        None, description="Changed at this time or later, ISO 8601, UTC where no zone is given."
    )
    updated_before: datetime | None = Field(
        None, description="Changed before this time. Documents without a date meet neither bound."
    )
    path: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARACTERS_OF_VALUE)] | None = Field(
        None, description="How the document's id begins, e.g. `hr/`; with `://` in it, how its address begins."
    )

    def as_filters(self) -> SearchFilters:
        """The filters as searches take them. Raises `InvalidInput` for times with nothing in between."""
        lists = {name: tuple(getattr(self, name) or ()) for name in ("source", "document_type", "author")}
        return SearchFilters(
            **lists, updated_after=self.updated_after, updated_before=self.updated_before, path=self.path
        )


class Body(BaseModel):
    """Fields of every question. `tenant` and `groups` can only narrow access: see `serving.contract.access`."""

    model_config = ConfigDict(extra="forbid")

    question: QuestionText
    tenant: str | None = Field(
        None, description="For operator keys: the tenant to act for. Other keys have a fixed tenant."
    )
    groups: list[str] | None = Field(
        None,
        max_length=1_000,
        description="The asker's groups, a list of names. Operator keys: any; other keys: some of their own.",
    )
    user: str | None = Field(
        None, min_length=1, max_length=256, description="The asking user, by the app's id; appears in the cost tables."
    )


class DocumentsBody(Body):
    """A question about documents."""

    filters: Filters | None = Field(None, description="Only documents that meet these; left out: all.")

    def search_filters(self) -> SearchFilters | None:
        """The filters as searches take them; None for all documents."""
        return self.filters.as_filters() if self.filters else None


class TurnBody(BaseModel):
    """An earlier question of the conversation, and the answer that was given."""

    model_config = ConfigDict(extra="forbid")

    question: QuestionText
    answer: str = Field(
        max_length=MAX_TURN_ANSWER_CHARACTERS,
        description=f"Its answer, at most {MAX_TURN_ANSWER_CHARACTERS:,} characters.",
    )


class AskBody(DocumentsBody):
    """A question to answer."""

    program: Program | None = Field(
        None, description="single_shot, multihop, react or team; left out: the gateway's default."
    )
    max_usd: Decimal | None = Field(
        None,
        gt=0,
        max_digits=18,
        decimal_places=10,
        description="Spend cap of this task, US dollars, above 0; left out: the gateway's default, "
        "or the rest of the key's daily cap if that is less.",
    )
    max_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_TASK_SECONDS,
        allow_inf_nan=False,
        description=f"Time cap of this task, above 0 and up to {MAX_TASK_SECONDS} s; left out: the gateway's default.",
    )
    quorum: int = Field(
        1,
        ge=1,
        le=MAX_QUORUM,
        description=f"Number of independent documents that must agree on a deciding fact, 1 to {MAX_QUORUM}; above 1 "
        "only with multihop and team. If they disagree, the question is declined.",
    )
    remember: bool = Field(
        False,
        description="Store the answer and its sources in the memory of `user`; the answer's `memory_id` is then set.",
    )
    memory: bool = Field(
        False,
        description="Give the program the memories of `user`; only with react and single_shot.",
    )
    style: Form | None = Field(
        None, description="The form of the answer, only with multihop; left out: the question decides."
    )
    history: list[TurnBody] = Field(
        [],
        max_length=MAX_TURNS,
        description=f"The conversation before the question, oldest turn first, at most {MAX_TURNS}, each with its "
        f"`question` (1 to {MAX_QUESTION_CHARACTERS:,} characters) and `answer` (at most "
        f"{MAX_TURN_ANSWER_CHARACTERS:,}); only with multihop, which reads the last turns.",
    )

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The history as programs take it."""
        return tuple(Turn(question=turn.question, answer=turn.answer) for turn in self.history)

    def identity(self) -> str:
        """The body as a text that a retry repeats.

        Without the fields that an earlier release did not know, where they are not set: bodies that it stored match.
        """
        return self.model_dump_json(exclude={name for name in ("style", "history") if not getattr(self, name)})


class NoteBody(BaseModel):
    """A note to remember for a user, in the user's own words."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description=f"The note, 1 to {MAX_CHARACTERS:,} characters.", max_length=8_000)
    user: str = Field(min_length=1, max_length=256, description="The user, by the app's id.")
    tenant: str | None = Field(
        None, description="For operator keys: the tenant to act for. Other keys have a fixed tenant."
    )


class RewriteBody(NoteBody):
    """A new text for a note."""

    read_version: int = Field(ge=1, description="The version that was read; 409 if the note has changed since.")


class MemoryEntry(BaseModel):
    """A memory of a user."""

    memory_id: str
    kind: Literal["note", "answer"] = Field(description="`note`: the user's words; `answer`: a task's answer.")
    text: str
    question: str | None = Field(description="The task's question; null for a note.")
    task_id: str | None
    doc_ids: list[str] = Field(description="Documents that support an answer.")
    version: int
    created_at: datetime
    written_at: datetime
    expires_at: datetime


class MemoryList(BaseModel):
    """The memories of a user that the caller may read now, newest first."""

    entries: list[MemoryEntry]


class ForgottenEntries(BaseModel):
    """The number of forgotten memories, and the proof."""

    entries: int
    files_purged: int = Field(description="Files deleted for good, including old versions.")
    rows_left: int = Field(description="Rows found by reading all remaining files: 0.")


class SearchBody(DocumentsBody):
    """A question to find passages for."""

    k: int = Field(5, ge=1, le=50, description="How many documents, 1 to 50.")
    mode: Literal["dense", "lexical", "hybrid", "multihop"] = Field(
        "hybrid", description="dense, lexical, hybrid or multihop."
    )
    passages_per_document: int = Field(
        1, ge=1, le=MAX_PASSAGES, description=f"Passages of each document, 1 to {MAX_PASSAGES}; the best, then `more`."
    )
    page_token: str | None = Field(
        None,
        max_length=MAX_TOKEN_CHARACTERS,
        description="`next_page_token` of the page before, with the same question, mode and filters; left out: the "
        "first page.",
    )


class JudgeBody(Body):
    """An answer to judge by its evidence. The sender supplies the texts, so no permissions are checked."""

    answer: str = Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS, description="The answer.")
    evidence: list[Annotated[str, StringConstraints(max_length=MAX_EVIDENCE_CHARACTERS)]] = Field(
        min_length=1,
        max_length=MAX_EVIDENCE,
        description=f"Texts that should support the answer, 1 to {MAX_EVIDENCE}, each at most "
        f"{MAX_EVIDENCE_CHARACTERS:,} characters.",
    )


FIELDS = AskBody.model_fields | JudgeBody.model_fields | SearchBody.model_fields | RewriteBody.model_fields
FIELDS_INSIDE = {"filters": Filters.model_fields, "history": TurnBody.model_fields}
"""Fields of the objects in a field."""


class PathStep(BaseModel):
    """A passage on the path to another passage."""

    chunk_id: str
    title: str
    how: str = Field(
        description="How this passage leads to the next: it `names` the next document, is `named_by` it, `links_to` "
        "it, is `linked_from` it, `shares` a rare name with it, or the next `continues` with the part of the question "
        "that this passage leaves open."
    )
    via: str = Field(description="The connecting name in lower case, or the linked page; empty for `continues`.")


class OtherPassage(BaseModel):
    """Another passage of a document that was found."""

    chunk_id: str
    score: float
    text: str


class FoundPassage(BaseModel):
    """A document by its best passage. Only mode multihop sets `probability`, `path` and `covers`."""

    chunk_id: str
    doc_id: str
    title: str
    score: float
    text: str
    uri: str
    source: str = Field("", description="Source of the document.")
    document_type: str | None = Field(None, description="Format by its usual suffix; null: not known.")
    author: str | None = Field(None, description="null: the document names none.")
    updated_at: datetime | None = Field(None, description="Last change by the source; null: it gives none.")
    more: list[OtherPassage] = Field(
        [], description="Other passages of the document, best first, up to `passages_per_document` - 1."
    )
    probability: float | None = Field(None, description="Probability that the question needs this passage, 0 to 1.")
    path: list[PathStep] = Field(
        [], description="Passages that led to this passage, in order; empty if the question led to it directly."
    )
    covers: list[str] = Field([], description="Words of the question that this passage covers and its path does not.")


class SearchAnswer(BaseModel):
    """The documents that the caller may read, each by its best passage, best first."""

    results: list[FoundPassage]
    next_page_token: str | None = Field(
        None, description=f"For the next page; null: this is the last. {MAX_SHOWN} documents at most in all pages."
    )
    took_ms: float
    task_id: str
    usage: Usage = Field(description="Zero unless a model reranks the passages.")


class Judgement(BaseModel):
    """The judge's verdict and its cost."""

    supported: bool | None = Field(description="null: no verdict; `reason` says why.")
    reason: str | None
    usage: Usage
    task_id: str


class UsageToday(BaseModel):
    """The key's spend today; US dollars as text with ten decimal places."""

    key_id: str
    app: str
    tenant: str
    groups: list[str]
    day: str = Field(description="Day in UTC; the cap starts again at its end.")
    spent_usd: str
    reserved_usd: str = Field(description="Reserved for running tasks.")
    daily_usd: str | None = Field(description="The key's daily cap; null: no cap.")
    resets_at: str
