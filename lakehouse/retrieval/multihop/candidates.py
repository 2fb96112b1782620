"""The candidate passages of a question: the best of a first search, and the passages that their names lead to.

Two calls to the index: a search by vector and words, then a search by names. Each chunk stores a sparse vector of the
names of its document (`own`) and of the names in its text (`say`), made from the chunk alone. So nothing stored goes
stale when other chunks change, and the time does not depend on the number of passages.
"""

from collections.abc import Sequence

import numpy as np

from lakehouse.index.frequencies import Frequencies
from lakehouse.retrieval.multihop.features import weights
from lakehouse.retrieval.multihop.texts import MAX_TEXT, CandidatePassage, CandidateTexts
from lakehouse.text.name_keys import OWN, SAY
from lakehouse.text.terms import key

FIRST_DEPTH = 50
"""Passages that the first search returns by each ranking."""
STARTS = 20
"""Passages of the first search that stay candidates and whose names the second search looks for."""
FETCHED = 100
"""Passages that the second search returns beyond these."""
KEPT = 80
"""Candidates of a question."""
MAX_NAMES = 500
"""Names in the query of the second search; twice as many return the same passages."""
_SHARPNESS = 0.2
_ASKED = 0.3
"""Factor for a name that the question itself holds: the first search finds the passages with that name."""
_BACK = 0.5
_SHARED = 0.5


def choose_seeds(
    question: str, vector: np.ndarray, passages: Sequence[CandidatePassage], frequencies: Frequencies
) -> tuple[list[CandidatePassage], np.ndarray]:
    """The best passages of the first search, best first, with their scores."""
    scores = CandidateTexts(question, vector, passages, frequencies).first_search
    best = np.argsort(-scores, kind="stable")[:STARTS]
    return [passages[number] for number in best], scores[best]


def names_to_find(
    question: str, seeds: Sequence[CandidatePassage], scores: np.ndarray, frequencies: Frequencies
) -> dict[str, float]:
    """The query of a search by names: keys of `name_vector` with a weight each.

    Names in the question weigh less, because the first search finds them.
    """
    line = f" {key(question[:MAX_TEXT])} "
    best = float(scores.max()) if len(scores) else 0.0
    wanted: dict[str, float] = {}

    def want(name_key: str, weight: float) -> None:
        if weight > 0:
            wanted[name_key] = max(weight, wanted.get(name_key, 0.0))

    names = list(dict.fromkeys(name for seed in seeds for name in (*seed.names.say, *seed.names.own)))
    worth = dict(
        zip(names, zip(*(values.tolist() for values in weights(frequencies, names)), strict=True), strict=True)
    )
    asked = {name for name in names if f" {name} " in line}
    for seed, score in zip(seeds, scores, strict=True):
        trust = float(np.exp((score - best) / _SHARPNESS))
        for name, certainty in (dict.fromkeys(seed.names.own, 1.0) | dict(seed.names.say)).items():
            share, link = worth[name]
            is_asked = name in asked
            damp = _ASKED if is_asked else 1.0
            if name in seed.names.own:
                want(SAY + name, trust * damp * _BACK * link * seed.names.own[name])
            else:
                want(OWN + name, trust * damp * certainty * link)
            if not is_asked:
                want(SAY + name, trust * _SHARED * certainty * share**2)
    return dict(sorted(wanted.items(), key=lambda item: -item[1])[:MAX_NAMES])


def choose_candidates(
    seeds: Sequence[CandidatePassage], fetched: Sequence[CandidatePassage], promise: Sequence[float], vector: np.ndarray
) -> list[CandidatePassage]:
    """The candidates to score: the seeds, then the fetched passages with the highest `promise` and similarity."""
    similarity = [max(float(passage.vector @ vector), 0.0) for passage in fetched]
    order = np.argsort(-np.array(promise) * (1 + 2 * np.array(similarity)), kind="stable")
    return [*seeds, *(fetched[number] for number in order)][:KEPT]
