"""Which passages to look at: the first search's best, and where the names beside them lead.

Two round trips to the index: a search, then a fetch by id. What a passage leads to was found when it was indexed
(`Neighbour`, a bounded list beside each passage), so nothing here depends on how many passages there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.multihop_features import Candidate, Evidence
from lakehouse.terms import key

FIRST_DEPTH = 50
"""Passages that the first search brings by each ranking."""
STARTS = 20
"""Of them, those that stay candidates, and whose neighbours are looked at."""
FETCHED = 120
KEPT = 80
_SHARPNESS = 0.2
_ASKED = 0.3
"""What a link over a name that the question says itself counts: the first search finds what has that name."""


@dataclass(frozen=True)
class Neighbour:
    """A passage that another leads to: over which name, whether it is named (or only shares it), how strongly."""

    chunk_id: str
    via: str
    is_link: bool
    weight: float


def first_seeds(question: str, vector: np.ndarray, found: Sequence[Candidate]) -> tuple[list[Candidate], np.ndarray]:
    """The best of what the first search found, best first, with their scores."""
    scores = Evidence(question, vector, found, seeds=0).first_search
    best = np.argsort(-scores, kind="stable")[:STARTS]
    return [found[number] for number in best], scores[best]


def to_fetch(
    question: str, seeds: Mapping[str, float], neighbours: Mapping[str, Sequence[Neighbour]]
) -> dict[str, float]:
    """Ids of passages that the seeds (chunk id → score) lead to, with how promising each is; at most `FETCHED`.

    Neighbours that share only what the question says itself are left out: the first search finds those.
    """
    line = f" {key(question)} "
    best = max(seeds.values(), default=0.0)
    promise: dict[str, float] = {}
    for seed, score in seeds.items():
        trust = float(np.exp((score - best) / _SHARPNESS))
        for one in neighbours.get(seed, ()):
            is_asked = f" {one.via} " in line
            if one.chunk_id in seeds or (is_asked and not one.is_link):
                continue
            value = trust * one.weight * (_ASKED if is_asked else 1.0)
            promise[one.chunk_id] = max(value, promise.get(one.chunk_id, 0.0))
    return dict(sorted(promise.items(), key=lambda item: -item[1])[:FETCHED])


def kept(
    seeds: Sequence[Candidate], fetched: Sequence[Candidate], promise: Mapping[str, float], vector: np.ndarray
) -> list[Candidate]:
    """The candidates to score: the seeds, then of what was fetched the most promising that are like the question."""

    def worth(candidate: Candidate) -> float:
        return promise[candidate.chunk_id] * (1 + 2 * max(float(candidate.vector @ vector), 0.0))

    return [*seeds, *sorted(fetched, key=worth, reverse=True)][:KEPT]
