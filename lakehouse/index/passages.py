"""Passages as a search finds them, and how they come from the engine's rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakehouse.index.layout import BESIDE, PASSAGE_COLUMNS
from lakehouse.index.lexical import fuse

FOUND_COLUMNS = ["chunk_id", *PASSAGE_COLUMNS]
INDEXED_COLUMNS = [*FOUND_COLUMNS, *BESIDE]


@dataclass(frozen=True)
class PathStep:
    """A passage on the way to another: the next one is reached from it by `how`, over the name `via`.

    `how`: it `names` the next one's document, is `named_by` the next one, `links_to` it, is `linked_from` it, `shares`
    a rare name with it, or the next one `continues` with what it leaves open.
    """

    chunk_id: str
    title: str
    how: str
    via: str


@dataclass(frozen=True)
class Passage:
    """A chunk as found. `score` compares within one result only: cosine, BM25, or the fused rank (at most 1).

    By multi-hop search also the `probability` that the question needs it, the `path` of passages that led to it (empty
    where it stands by itself) and the words of the question that it `covers` beyond them.
    """

    chunk_id: str
    doc_id: str
    title: str
    heading: str
    text: str
    uri: str
    score: float
    probability: float | None = None
    path: tuple[PathStep, ...] = ()
    covers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Indexed:
    """A passage with what is stored beside it for multi-hop search, as it is stored."""

    passage: Passage
    spoken: str
    direction: str


def passage(row: Mapping[str, Any], score: float) -> Passage:
    """A passage of a row that holds `FOUND_COLUMNS`."""
    return Passage(**{name: row[name] for name in FOUND_COLUMNS}, score=float(score))


def indexed(found: Mapping[str, Any]) -> Indexed:
    """A row of a search for `INDEXED_COLUMNS`."""
    row = found["entity"]
    return Indexed(passage(row, found["distance"]), row["spoken"], row["direction"])


def fused(rankings: Sequence[Sequence[Passage]], k: int) -> list[Passage]:
    """The first k of several rankings in one, by reciprocal rank fusion."""
    known = {one.chunk_id: one for ranking in rankings for one in ranking}
    best = fuse([[one.chunk_id for one in ranking] for ranking in rankings], k)
    return [replace(known[chunk_id], score=score) for chunk_id, score in best]
