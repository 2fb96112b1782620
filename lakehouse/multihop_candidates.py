"""Which passages to look at: the first search's best, and where the names in them lead.

At most three round trips to the index: a search by vector and words, then searches by names. Each chunk stores a sparse
vector of the names that its document has (`own`) and of those that it speaks of (`say`), made of its own text only; so
nothing stored goes stale when other chunks change, and nothing here depends on how many passages there are.
"""

from collections.abc import Sequence

import numpy as np

from lakehouse.entities import Names
from lakehouse.frequencies import OWN, SAY, Frequencies
from lakehouse.multihop_features import weights
from lakehouse.multihop_texts import Candidate, Texts
from lakehouse.terms import key

FIRST_DEPTH = 50
"""Passages that the first search brings by each ranking."""
STARTS = 20
"""Of them, those that stay candidates, and whose names are looked for."""
FETCHED = 120
KEPT = 80
_SHARPNESS = 0.2
_ASKED = 0.3
"""What a link over a name that the question says itself counts: the first search finds what has that name."""
_BACK = 0.5
_SHARED = 0.5


def name_vector(names: Names) -> dict[str, float]:
    """What a chunk stores: the names of its document, by how surely they mean it, and the names that it speaks of."""
    own = {OWN + name: weight for name, weight in names.own.items()}
    return own | {SAY + name: weight for name, weight in names.say.items()}


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
    line = f" {key(question)} "
    best = float(scores.max()) if len(scores) else 0.0
    wanted: dict[str, float] = {}

    def want(found: str, value: float) -> None:
        if value > 0:
            wanted[found] = max(value, wanted.get(found, 0.0))

    for seed, score in zip(seeds, scores, strict=True):
        trust = float(np.exp((score - best) / _SHARPNESS))
        said = list(seed.names.say)
        shares, links = weights(frequencies, said)
        for name, share, link in zip(said, shares, links, strict=True):
            sure = seed.names.say[name]
            is_asked = f" {name} " in line
            damp = _ASKED if is_asked else 1.0
            if name in seed.names.own:
                want(SAY + name, trust * damp * _BACK * link * seed.names.own[name])
            else:
                want(OWN + name, trust * damp * sure * link)
            if not is_asked:
                want(SAY + name, trust * _SHARED * sure * share**2)
    return wanted


def kept(
    seeds: Sequence[Candidate], fetched: Sequence[Candidate], promise: Sequence[float], vector: np.ndarray
) -> list[Candidate]:
    """The candidates to score: the seeds, then of what was fetched the most promising that are like the question."""
    likeness = [max(float(one.vector @ vector), 0.0) for one in fetched]
    order = np.argsort(-np.array(promise) * (1 + 2 * np.array(likeness)), kind="stable")
    return [*seeds, *(fetched[number] for number in order)][:KEPT]
