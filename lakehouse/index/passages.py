"""A passage as a search returns it, and the modes of a search."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

MAX_K = 1000
"""Passages of one search."""
EngineMode = Literal["dense", "lexical", "hybrid"]
"""Modes that are one call to Milvus."""
Mode = Literal["dense", "lexical", "hybrid", "multihop"]
"""All modes; `lakehouse.retrieval.multihop.search` makes `multihop` of several calls."""


@dataclass(frozen=True)
class PathStep:
    """A passage on the way to another passage. `how`: the relation to the next passage; `via`: the name that connects.

    `how`: this passage `names` the document of the next passage, is `named_by` it, `links_to` it, is `linked_from` it
    or `shares` a rare name with it; or the next passage `continues` with what this passage leaves open.
    """

    chunk_id: str
    title: str
    how: str
    via: str


@dataclass(frozen=True)
class Passage:
    """A retrieved chunk. `score` compares within one result only: cosine, BM25, or the fused rank (at most 1).

    Where a search gives documents, the passage is its document's best, and `more` are others of it, best first.

    Multi-hop search adds the `probability` that the question needs the passage, the `path` of passages that lead to it
    (empty for a passage that the first search returned) and the words of the question that it `covers` beyond them.
    """

    chunk_id: str
    doc_id: str
    title: str
    heading: str
    text: str
    uri: str
    score: float
    source: str = ""
    document_type: str | None = None
    author: str | None = None
    updated_at: datetime | None = None
    more: tuple["Passage", ...] = ()
    probability: float | None = None
    path: tuple[PathStep, ...] = ()
    covers: tuple[str, ...] = ()
