"""The weights of `lakehouse.retrieval.multihop.ranking`, learned from questions whose passages are known.

A list-wise loss: each needed passage should outscore all that are not needed. The model is small (some forty
numbers), and weights are held near zero, so that what is learned on one collection serves another.
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
"""What all questions for practice count together, where the real ones count 1. docs/retrieval.md tries others."""
_CALIBRATED = 10
"""Candidates of a question that the probability is fitted on: the others are never asked for."""
_NEWTON_STEPS = 300
_SEED = 7
FOLDS = 5
"""Parts that are left out in turn, to see what weights do for questions that they were not learned from."""


@dataclass(frozen=True)
class Example:
    """The candidates' features, and which of them the question needs. `needed` (n,) is boolean."""

    own: np.ndarray
    pair: np.ndarray
    needed: np.ndarray


def learn(examples: Sequence[Example], practice: Sequence[Example] = ()) -> Weights:
    """Weights that rank what is needed first. `InvalidInput` when no example holds anything needed.

    `practice`: questions that nobody asked. They teach what ranks high, and nothing of how sure it is.
    """
    telling = _telling(examples)
    if not telling:
        raise InvalidInput("no question has a needed passage among its candidates. Check the ids in `gold_ids`.")
    return calibrated(_fitted(telling, _telling(practice)), telling)


def scored_apart(
    examples: Sequence[Example], features: Sequence[tuple[np.ndarray, np.ndarray]], folds: int = FOLDS
) -> list[np.ndarray]:
    """Scores of each question's features (own, pair), by weights that are learned from the examples of other folds."""
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
    for one in examples:
        total = score(one.own, one.pair, weights)
        best = np.argsort(-total, kind="stable")[:_CALIBRATED]
        rows.append(confidence_features(total, one.own)[best])
        needed.append(one.needed[best])
    fitted = _logistic(np.concatenate(rows), np.concatenate(needed).astype(float))
    names = ("constant", "log_share", "below_best", "coverage")
    return Weights(**{**vars(weights), "confidence": dict(zip(names, fitted, strict=True))})


def calibration_error(sure: np.ndarray, needed: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance of probability and share needed, over bins of equal width."""
    places = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(sure[places == at].mean() - needed[places == at].mean()) * (places == at).mean() for at in set(places)]
    return float(sum(gaps))


def _logistic(rows: np.ndarray, needed: np.ndarray) -> list[float]:
    """Coefficients of a logistic regression, the constant first, by Newton's method with a slight ridge."""
    design = np.hstack([np.ones((len(rows), 1)), rows])
    found = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        sure = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        curvature = (design.T * (sure * (1 - sure))) @ design + 1e-3 * np.eye(len(found))
        step = np.linalg.solve(curvature, design.T @ (needed - sure) - 1e-3 * found)
        found += step
        if np.abs(step).max() < 1e-8:
            break
    return [float(value) for value in found]


def _telling(examples: Sequence[Example]) -> list[Example]:
    return [one for one in examples if one.needed.any() and not one.needed.all()]


def _fitted(real: Sequence[Example], practice: Sequence[Example]) -> Weights:
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

    n = max(len(one.own) for one in examples)
    s = max(len(one.pair) for one in examples)
    own, pair = torch.zeros(len(examples), n, len(OWN)), torch.zeros(len(examples), s, n, len(PAIR))
    needed, present = (torch.zeros(len(examples), n, dtype=torch.bool) for _ in range(2))
    for number, one in enumerate(examples):
        rows, leading = len(one.own), len(one.pair)
        own[number, :rows] = torch.from_numpy(one.own)
        pair[number, :leading, :rows] = torch.from_numpy(one.pair)
        needed[number, :rows] = torch.from_numpy(one.needed)
        present[number, :rows] = True
    return own, pair, needed, present


def _spread(rows: "torch.Tensor") -> "torch.Tensor":
    """By what each feature is divided, so that all vary alike; one that hardly varies here may vary elsewhere."""
    return rows.std(dim=0).clamp(min=_LEAST_SPREAD) if len(rows) > 1 else rows.sum(dim=0) + 1
