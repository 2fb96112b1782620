"""Which passages to look at: the first search's best, and where the names in them lead.

Two round trips to the index: a search by vector and words, then one by names. Each chunk stores a sparse
vector of the names that its document has (`own`) and of those that it speaks of (`say`), made of its own text only; so
nothing stored goes stale when other chunks change, and nothing here depends on how many passages there are.
"""

from collections.abc import Sequence

import numpy as np

from lakehouse.index.frequencies import Frequencies
from lakehouse.retrieval.multihop.features import weights
from lakehouse.retrieval.multihop.texts import MAX_TEXT, Candidate, Texts
from lakehouse.text.name_keys import OWN, SAY
from lakehouse.text.terms import key

FIRST_DEPTH = 50
"""Passages that the first search brings by each ranking."""
STARTS = 20
"""Of them, those that stay candidates, and whose names are looked for."""
FETCHED = 100
KEPT = 80
MAX_NAMES = 500
"""Of the second search; with twice as many it brings the same."""
_SHARPNESS = 0.2
_ASKED = 0.3
"""What a link over a name that the question says itself counts: the first search finds what has that name."""
_BACK = 0.5
_SHARED = 0.5


def first_seeds(
    question: str, vector: np.ndarray, found: Sequence[Candidate], frequencies: Frequencies
) -> tuple[list[Candidate], np.ndarray]:
    """The best of what the first search found, best first, with their scores."""
    scores = Texts(question, vector, found, frequencies).first_search
    best = np.argsort(-scores, kind="stable")[:STARTS]
    return [found[number] for number in best], scores[best]


def names_to_find(
    question: str, seeds: Sequence[Candidate], scores: np.ndarray, frequencies: Frequencies
) -> dict[str, float]:
    """The query of a search by names: keys of `name_vector` and how promising each is.

    Names that the question says itself are damped: the first search finds those.
    """
    line = f" {key(question[:MAX_TEXT])} "
    best = float(scores.max()) if len(scores) else 0.0
    wanted: dict[str, float] = {}

    def want(found: str, value: float) -> None:
        if value > 0:
            wanted[found] = max(value, wanted.get(found, 0.0))

    names = list(dict.fromkeys(name for seed in seeds for name in (*seed.names.say, *seed.names.own)))
    worth = dict(
        zip(names, zip(*(values.tolist() for values in weights(frequencies, names)), strict=True), strict=True)
    )
    asked = {name for name in names if f" {name} " in line}
    for seed, score in zip(seeds, scores, strict=True):
        trust = float(np.exp((score - best) / _SHARPNESS))
        for name, sure in (dict.fromkeys(seed.names.own, 1.0) | dict(seed.names.say)).items():
            share, link = worth[name]
            is_asked = name in asked
            damp = _ASKED if is_asked else 1.0
            if name in seed.names.own:
                want(SAY + name, trust * damp * _BACK * link * seed.names.own[name])
            else:
                want(OWN + name, trust * damp * sure * link)
            if not is_asked:
                want(SAY + name, trust * _SHARED * sure * share**2)
    return dict(sorted(wanted.items(), key=lambda item: -item[1])[:MAX_NAMES])


def kept(
    seeds: Sequence[Candidate], fetched: Sequence[Candidate], promise: Sequence[float], vector: np.ndarray
) -> list[Candidate]:
    """The candidates to score: the seeds, then of what was fetched the most promising that are like the question."""
    likeness = [max(float(one.vector @ vector), 0.0) for one in fetched]
    order = np.argsort(-np.array(promise) * (1 + 2 * np.array(likeness)), kind="stable")
    return [*seeds, *(fetched[number] for number in order)][:KEPT]
