"""Ranks the passages that a question needs together, by pairs of passages. No model call.

The second passage of a question is seldom similar to the question. It is similar to the part that the first passage
leaves unanswered, and a name connects it with the first passage. So a candidate is scored alone and as the second of a
pair:

    score(p) = own(p) + a softplus(in(p)) + b softplus(out(p))
    in(p)    = log sum over seeds s of exp(pair(s, p) + c log share(s)),    out(p) the same over what p leads to

`share` is a passage's part of all scores: of `own` in the first round, of `score` in the second round, so that a
second passage can lead to a third.

`own` and `pair` are weighted sums of the features of `lakehouse.retrieval.multihop.features`. `weights.json` holds the
weights by the names of the features; `lakehouse.retrieval.multihop.training` learns them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.errors import InvalidInput
from lakehouse.index.frequencies import Frequencies
from lakehouse.index.passages import PathStep
from lakehouse.retrieval.multihop.features import OWN, PAIR, CandidateFeatures
from lakehouse.retrieval.multihop.texts import CandidatePassage

SEEDS = 24
"""The first candidates, which may lead to others."""
ROUNDS = 2
"""One round for pairs, a second for chains of three."""
SHIPPED = Path(__file__).with_name("weights.json")
_MAX_STEPS = 4
_LEAST_LEAD = -2.0
"""A predecessor that adds less than this (a logarithm) is left out of the path."""
_IMPOSSIBLE = -1e4


@dataclass(frozen=True)
class Weights:
    """Learned numbers: a weight for each feature, the weights of pairs, and how a score becomes a probability."""

    own: Mapping[str, float]
    pair: Mapping[str, float]
    pair_bias: float
    lead: float
    led_by: float
    leads: float
    from_seed: float
    from_next: float
    confidence: Mapping[str, float]

    @classmethod
    def read(cls, path: Path) -> "Weights":
        """Weights of a file as `write` leaves it. `InvalidInput` for one that lacks a feature or has another."""
        try:
            weights = cls(**json.loads(path.read_text(encoding="utf-8-sig")))
        except (OSError, ValueError, TypeError) as error:
            raise InvalidInput(f"weights {str(path)!r}: {error}. Learn them again.") from None
        for kind, expected in (("own", OWN), ("pair", PAIR)):
            if unlike := set(getattr(weights, kind)) ^ set(expected):
                raise InvalidInput(f"weights {str(path)!r}: {kind} features {sorted(unlike)} differ. Learn them again.")
        return weights

    def write(self, path: Path) -> None:
        """Write the weights in a readable form: four decimals, a line each."""
        path.write_text(json.dumps(_rounded(asdict(self)), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Ranked:
    """A candidate with its score, the probability that the question needs it, and the reasons.

    `path`: the passages that lead to it, the first one first; empty if none does. `covers`: words of the question that
    it holds and the passages of `path` do not.
    """

    chunk_id: str
    score: float
    probability: float
    path: tuple[PathStep, ...]
    covers: tuple[str, ...]


@dataclass(frozen=True)
class _Scores:
    own: np.ndarray
    pair: np.ndarray
    leading: np.ndarray
    total: np.ndarray


def rank(
    question: str,
    vector: np.ndarray,
    candidates: Sequence[CandidatePassage],
    weights: Weights,
    *,
    k: int,
    frequencies: Frequencies,
    seeds: int = SEEDS,
) -> list[Ranked]:
    """The k candidates that the question needs most, best first; the first `seeds` candidates may lead to others."""
    if not candidates:
        return []
    features = CandidateFeatures(question, vector, candidates, seeds, frequencies)
    own, pair = features.own(), features.pair()
    scores = _scored(own, pair, weights)
    probability = probabilities(scores.total, own, weights)
    best = np.argsort(-scores.total, kind="stable")[:k]
    return [_explain(features, scores, int(number), float(probability[number])) for number in best]


def score(own: np.ndarray, pair: np.ndarray, weights: Weights) -> np.ndarray:
    """Scores (n,) of candidates with these features, as `CandidateFeatures` gives them."""
    return _scored(own, pair, weights).total if len(own) else np.empty(0, dtype=np.float32)


@cache
def shipped_weights() -> Weights:
    """The weights that come with Lakehop."""
    return Weights.read(SHIPPED)


def _scored(own_features: np.ndarray, pair_features: np.ndarray, weights: Weights) -> _Scores:
    own = own_features @ np.array([weights.own[name] for name in OWN], dtype=np.float32)
    pair = pair_features @ np.array([weights.pair[name] for name in PAIR], dtype=np.float32) + weights.pair_bias
    s = len(pair)
    pair[np.arange(s), np.arange(s)] = _IMPOSSIBLE
    total = own
    for _ in range(ROUNDS):
        share = total - _log_sum(total, 0)
        leading = pair + weights.from_seed * share[:s, None]
        following = _log_sum(pair + weights.from_next * share[None, :], 1)
        total = own + weights.led_by * _softplus(_log_sum(leading, 0) + weights.lead)
        total[:s] += weights.leads * _softplus(following + weights.lead)
    return _Scores(own, pair, leading, total)


def probabilities(total: np.ndarray, own_features: np.ndarray, weights: Weights) -> np.ndarray:
    """The probability (n,) that each candidate is needed, from scores and the features of `CandidateFeatures.own`."""
    features = confidence_features(total, own_features)
    logit = features @ np.array(list(weights.confidence.values())[1:]) + weights.confidence["constant"]
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def confidence_features(total: np.ndarray, own_features: np.ndarray) -> np.ndarray:
    """Inputs of a probability, (n, 3): logarithm of the share of all scores, distance to the best score, coverage."""
    coverage = own_features[:, list(OWN).index("coverage")]
    return np.stack([total - _log_sum(total, 0), total - total.max(), coverage], axis=1)


def _explain(features: CandidateFeatures, scores: _Scores, number: int, probability: float) -> Ranked:
    numbers = [number]
    steps: list[PathStep] = []
    while len(steps) < _MAX_STEPS:
        before = _predecessor(scores, numbers[0])
        if before is None or before in numbers:
            break
        seed = features.candidates[before]
        steps.insert(0, PathStep(seed.chunk_id, seed.title, *features.connection(before, numbers[0])))
        numbers.insert(0, before)
    before_it = features.covered[numbers[:-1]].any(axis=0) if steps else np.zeros(len(features.terms), dtype=bool)
    added = features.covered[number] & ~before_it
    covers = tuple(features.words[place] for place in np.flatnonzero(added))
    return Ranked(features.candidates[number].chunk_id, float(scores.total[number]), probability, tuple(steps), covers)


def _predecessor(scores: _Scores, number: int) -> int | None:
    """The seed that adds most to a candidate's score; None if no seed adds enough or the seed itself scores lower."""
    seed = int(np.argmax(scores.leading[:, number]))
    is_weak = scores.leading[seed, number] < _LEAST_LEAD
    return None if seed == number or is_weak or scores.own[seed] <= scores.own[number] else seed


def _log_sum(values: np.ndarray, axis: int) -> np.ndarray:
    top = values.max(axis=axis, keepdims=True)
    return np.asarray(np.squeeze(top, axis) + np.log(np.exp(values - top).sum(axis=axis)))


def _softplus(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.logaddexp(0, values))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return round(value, 4)
