"""What the HTTP endpoints take and give, beside the `Answer` of `agents.answer`. Bounds stand in the annotations.

An unknown field is an error: a misspelt `max_usd` that passes in silence is found on the bill.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agents.answer import Usage
from lakehouse.settings import MAX_EVIDENCE, MAX_QUORUM, MAX_TASK_SECONDS, Program
from lakehouse.state.memory import MAX_CHARACTERS

MAX_QUESTION_CHARACTERS = 8_000
MAX_EVIDENCE_CHARACTERS = 4_000

Question = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUESTION_CHARACTERS),
    Field(
        description=f"The question, 1 to {MAX_QUESTION_CHARACTERS:,} characters after stripping.",
        examples=["Under which licence is the library that renders templates for Flask published?"],
    ),
]


class Body(BaseModel):
    """Fields of every question. `tenant` and `groups` widen nothing: see `serving.contract.access`."""

    model_config = ConfigDict(extra="forbid")

    question: Question
    tenant: str | None = Field(None, description="For operator keys: on whose behalf. Other keys have their own.")
    groups: list[str] | None = Field(
        None,
        max_length=1_000,
        description="Groups of the asker, a list of names: any for operator keys, a part of its own for other keys.",
    )
    user: str | None = Field(
        None, min_length=1, max_length=256, description="Who asks, as the app knows them; stands in the cost tables."
    )


class AskBody(Body):
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
        "or what is free of the key's day.",
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
        description=f"How many independent documents must agree on a fact that decides the answer, 1 to {MAX_QUORUM}; "
        "above 1 with multihop and team. Where they do not, the question is declined.",
    )
    remember: bool = Field(
        False,
        description="Keep the answer in the memory of `user`, with what it rests on; `memory_id` of the answer says "
        "that it is kept.",
    )
    memory: bool = Field(
        False,
        description="Show the program what is remembered for `user`; with react and single_shot.",
    )


class NoteBody(BaseModel):
    """Something to remember for a user, in the user's own words."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description=f"What to remember, 1 to {MAX_CHARACTERS:,} characters.", max_length=8_000)
    user: str = Field(min_length=1, max_length=256, description="Whose memory, as the app knows them.")
    tenant: str | None = Field(None, description="For operator keys: on whose behalf. Other keys have their own.")


class RewriteBody(NoteBody):
    """The same, in place of what stands there."""

    read_version: int = Field(ge=1, description="The version that was read; another one there now is a 409.")


class MemoryEntry(BaseModel):
    """One thing that is remembered for a user."""

    memory_id: str
    kind: Literal["note", "answer"] = Field(description="`note`: the user's words; `answer`: what a task answered.")
    text: str
    question: str | None = Field(description="What was asked; null for a note.")
    task_id: str | None
    doc_ids: list[str] = Field(description="Documents that an answer rests on.")
    version: int
    created_at: datetime
    written_at: datetime
    expires_at: datetime


class MemoryList(BaseModel):
    """A user's memory, as far as it may be read now, newest first."""

    entries: list[MemoryEntry]


class ForgottenEntries(BaseModel):
    """What was forgotten, and the proof."""

    entries: int
    files_purged: int = Field(description="Files deleted for good, old versions among them.")
    rows_left: int = Field(description="What a reading of all files that are left still found: 0.")


class SearchBody(Body):
    """A question to find passages for."""

    k: int = Field(5, ge=1, le=50, description="How many passages, 1 to 50.")
    mode: Literal["dense", "lexical", "hybrid", "multihop"] = Field(
        "hybrid", description="dense, lexical, hybrid or multihop."
    )


class JudgeBody(Body):
    """An answer to judge by the evidence that it rests on. Permissions are the sender's matter: it sends the texts."""

    answer: str = Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS, description="What was answered.")
    evidence: list[Annotated[str, StringConstraints(max_length=MAX_EVIDENCE_CHARACTERS)]] = Field(
        min_length=1,
        max_length=MAX_EVIDENCE,
        description=f"Texts that should say so, 1 to {MAX_EVIDENCE} of {MAX_EVIDENCE_CHARACTERS:,} characters at most.",
    )


FIELDS = AskBody.model_fields | JudgeBody.model_fields | SearchBody.model_fields | RewriteBody.model_fields


class PathStep(BaseModel):
    """A passage on the way to another one."""

    chunk_id: str
    title: str
    how: str = Field(
        description="How the next passage is reached: this one `names` its document, is `named_by` it, `links_to` "
        "it, is `linked_from` it, `shares` a rare name with it, or the next one `continues` with what this one leaves "
        "open."
    )
    via: str = Field(
        description="The name that connects the two, in lower case, or the page linked to; empty for `continues`."
    )


class FoundPassage(BaseModel):
    """One passage, best first. What follows `uri` is told by mode multihop alone."""

    chunk_id: str
    doc_id: str
    title: str
    score: float
    text: str
    uri: str
    probability: float | None = Field(None, description="How likely the question needs this passage, 0 to 1.")
    path: list[PathStep] = Field([], description="Passages that led to it, the first first; empty: it stands alone.")
    covers: list[str] = Field([], description="Words of the question that it covers and its path does not.")


class SearchAnswer(BaseModel):
    """What a search found among what the caller may read."""

    results: list[FoundPassage]
    took_ms: float
    task_id: str
    usage: Usage = Field(description="Zero, but where the gateway has a model order what was found.")


class Judgement(BaseModel):
    """What the judge said, and what that cost."""

    supported: bool | None = Field(description="null: it gave no judgement, and `reason` says why.")
    reason: str | None
    usage: Usage
    task_id: str


class UsageToday(BaseModel):
    """The key's money today, US dollars as text with ten places."""

    key_id: str
    app: str
    tenant: str
    groups: list[str]
    day: str = Field(description="Day in UTC; the cap begins anew at its end.")
    spent_usd: str
    reserved_usd: str = Field(description="Held by tasks that still run.")
    daily_usd: str | None = Field(description="The key's cap; null: none.")
    resets_at: str
