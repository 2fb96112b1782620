"""Learns the weights of `lakehouse.retrieval.multihop.ranking` from questions with known passages.

A list-wise loss: each needed passage should outscore all other candidates. The model is small (some forty numbers) and
weight decay holds it near zero, so that weights learned on one collection serve another collection.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import InvalidInput
from lakehouse.retrieval.multihop.features import OWN, PAIR
from lakehouse.retrieval.multihop.ranking import ROUNDS, Weights, confidence_features, score

if TYPE_CHECKING:
    import torch

PASSES = 20
AT_ONCE = 64
RATE = 0.03
DECAY = 0.01
PRACTICE_COUNTS = 0.3
"""Weight of all practice questions together; the real questions together weigh 1."""
_CALIBRATED = 10
"""The best candidates of a question, on which the probability is fitted: no caller asks for more."""
_NEWTON_STEPS = 300
_SEED = 7
FOLDS = 5
"""Parts that are left out in turn, to test the weights on questions that they were not learned from."""


@dataclass(frozen=True)
class Example:
    """The features of a question's candidates, and which candidates the question needs. `needed` (n,) is boolean."""

    own: np.ndarray
    pair: np.ndarray
    needed: np.ndarray


def learn(examples: Sequence[Example], practice: Sequence[Example] = ()) -> Weights:
    """Weights that rank needed passages first. `InvalidInput` when no example has a needed candidate.

    `practice`: generated questions. They train the ranking, but not the probabilities.
    """
    usable = _usable(examples)
    if not usable:
        raise InvalidInput("no question has a needed passage among its candidates. Check the ids in `gold_ids`.")
    return calibrated(_fit(usable, _usable(practice)), usable)


def scored_apart(
    examples: Sequence[Example], features: Sequence[tuple[np.ndarray, np.ndarray]], folds: int = FOLDS
) -> list[np.ndarray]:
    """Scores of each question's features (own, pair), by weights learned from the examples of the other folds."""
    fold = np.random.default_rng(_SEED).permutation(len(examples)) % folds
    totals = [np.empty(0)] * len(examples)
    for left_out in range(folds):
        weights = learn([example for example, at in zip(examples, fold, strict=True) if at != left_out])
        for at in np.flatnonzero(fold == left_out):
            own, pair = features[at]
            totals[at] = score(own, pair, weights)
    return totals


def calibrated(weights: Weights, examples: Sequence[Example]) -> Weights:
    """The weights with `confidence` fitted to the examples by logistic regression."""
    rows, needed = [], []
    for example in examples:
        total = score(example.own, example.pair, weights)
        best = np.argsort(-total, kind="stable")[:_CALIBRATED]
        rows.append(confidence_features(total, example.own)[best])
        needed.append(example.needed[best])
    fitted = _logistic(np.concatenate(rows), np.concatenate(needed).astype(float))
    names = ("constant", "log_share", "below_best", "coverage")
    return Weights(**{**vars(weights), "confidence": dict(zip(names, fitted, strict=True))})


def calibration_error(probability: np.ndarray, needed: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance between probability and share needed, over bins of equal width."""
    places = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [
        abs(probability[places == at].mean() - needed[places == at].mean()) * (places == at).mean()
        for at in set(places)
    ]
    return float(sum(gaps))


def _logistic(rows: np.ndarray, needed: np.ndarray) -> list[float]:
    """Coefficients of a logistic regression, the constant first, by Newton's method with a small ridge."""
    design = np.hstack([np.ones((len(rows), 1)), rows])
    coefficients = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(design @ coefficients, -30, 30)))
        curvature = (design.T * (probability * (1 - probability))) @ design + 1e-3 * np.eye(len(coefficients))
        step = np.linalg.solve(curvature, design.T @ (needed - probability) - 1e-3 * coefficients)
        coefficients += step
        if np.abs(step).max() < 1e-8:
            break
    return [float(value) for value in coefficients]


def _usable(examples: Sequence[Example]) -> list[Example]:
    return [example for example in examples if example.needed.any() and not example.needed.all()]


def _fit(real: Sequence[Example], practice: Sequence[Example]) -> Weights:
    import torch

    torch.manual_seed(_SEED)
    examples = [*real, *practice]
    own, pair, needed, present = _padded(examples)
    counts = torch.ones(len(examples))
    if practice:
        counts[len(real) :] = PRACTICE_COUNTS * len(real) / len(practice)
    own_scale = _spread(own[present])
    pair_scale = _spread(pair[pair.abs().sum(dim=-1) > 0])
    model = {
        "own": torch.zeros(len(OWN)),
        "pair": torch.zeros(len(PAIR)),
        **{name: torch.tensor(value) for name, value in _BEGIN.items()},
    }
    model["own"][list(OWN).index("first_search")] = 1.0
    for value in model.values():
        value.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.values(), lr=RATE, weight_decay=DECAY)
    steps = PASSES * math.ceil(len(examples) / AT_ONCE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    for _ in range(PASSES):
        for batch in torch.randperm(len(examples)).split(AT_ONCE):
            totals = _scores(own[batch] / own_scale, pair[batch] / pair_scale, present[batch], model)
            optimizer.zero_grad()
            _loss(totals, needed[batch], counts[batch]).backward()
            torch.nn.utils.clip_grad_norm_(model.values(), 1.0)
            optimizer.step()
            schedule.step()
    own_weights = (model["own"] / own_scale).tolist()
    pair_weights = (model["pair"] / pair_scale).tolist()
    return Weights(
        own=dict(zip(OWN, own_weights, strict=True)),
        pair=dict(zip(PAIR, pair_weights, strict=True)),
        confidence={"constant": 0.0, "log_share": 1.0, "below_best": 0.0, "coverage": 0.0},
        **{name: model[name].item() for name in _BEGIN},
    )


_BEGIN = {"pair_bias": -3.0, "lead": 0.0, "led_by": 1.0, "leads": 0.3, "from_seed": 0.5, "from_next": 0.3}
_IMPOSSIBLE = -1e4
_LEAST_SPREAD = 0.05


def _scores(own: "torch.Tensor", pair: "torch.Tensor", present: "torch.Tensor", model: Any) -> "torch.Tensor":
    """As `lakehouse.retrieval.multihop.ranking.score`, for many questions at once and with gradients."""
    import torch

    s, n = pair.shape[1:3]
    alone = (own @ model["own"]).masked_fill(~present, _IMPOSSIBLE)
    together = pair @ model["pair"] + model["pair_bias"]
    possible = present[:, None, :] & present[:, :s, None] & ~torch.eye(n, dtype=torch.bool)[:s]
    together = together.masked_fill(~possible, _IMPOSSIBLE)
    softplus = torch.nn.functional.softplus
    total = alone
    for _ in range(ROUNDS):
        share = total - total.logsumexp(dim=1, keepdim=True)
        led = softplus((together + model["from_seed"] * share[:, :s, None]).logsumexp(dim=1) + model["lead"])
        leads = softplus((together + model["from_next"] * share[:, None, :]).logsumexp(dim=2) + model["lead"])
        total = alone + model["led_by"] * led
        total = torch.cat([total[:, :s] + model["leads"] * leads, total[:, s:]], dim=1)
        total = total.masked_fill(~present, _IMPOSSIBLE)
    return total


def _loss(totals: "torch.Tensor", needed: "torch.Tensor", counts: "torch.Tensor") -> "torch.Tensor":
    import torch

    others = totals.masked_fill(needed, _IMPOSSIBLE).logsumexp(dim=1, keepdim=True)
    missed = torch.nn.functional.softplus(others - totals) * needed
    return (missed.sum(dim=1) / needed.sum(dim=1).clamp(min=1) * counts).sum() / counts.sum()


def _padded(examples: Sequence[Example]) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    import torch

    n = max(len(example.own) for example in examples)
    s = max(len(example.pair) for example in examples)
    own, pair = torch.zeros(len(examples), n, len(OWN)), torch.zeros(len(examples), s, n, len(PAIR))
    needed, present = (torch.zeros(len(examples), n, dtype=torch.bool) for _ in range(2))
    for number, example in enumerate(examples):
        rows, leading = len(example.own), len(example.pair)
        own[number, :rows] = torch.from_numpy(example.own)
        pair[number, :leading, :rows] = torch.from_numpy(example.pair)
        needed[number, :rows] = torch.from_numpy(example.needed)
        present[number, :rows] = True
    return own, pair, needed, present


def _spread(rows: "torch.Tensor") -> "torch.Tensor":
    """Divisor of each feature, so that all vary alike; not near 0, for other data vary more."""
    return rows.std(dim=0).clamp(min=_LEAST_SPREAD) if len(rows) > 1 else rows.sum(dim=0) + 1
