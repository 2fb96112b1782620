"""Bootstrap intervals of a mean over questions and of a paired difference, and the area under a ROC curve.

Questions are drawn with replacement, 5,000 times; the interval holds the middle 95 % of the means.
"""

from collections.abc import Sequence

import numpy as np

DRAWS = 5_000
_SEED = 7


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean of `values`, one per question, and the bounds of its 95 % interval."""
    given = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(_SEED).integers(len(given), size=(DRAWS, len(given)))
    low, high = np.percentile(given[drawn].mean(axis=1), [2.5, 97.5])
    return float(given.mean()), float(low), float(high)


def with_interval(values: Sequence[float]) -> str:
    """The mean in per cent with its interval, as `76.4 (72.1-80.5)`."""
    return "{:.1f} ({:.1f}-{:.1f})".format(*(100 * value for value in interval(values)))


def difference(first: Sequence[float], second: Sequence[float]) -> str:
    """The paired difference over the same questions in points, with its interval, as `+12.5 (6.3 to 18.8)`."""
    paired = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * value for value in interval(list(paired))))


def area_under_roc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """The share of pairs in which `higher` has the larger value: 0.5 by chance, 1 always."""
    above = np.asarray(higher)[:, None] - np.asarray(lower)[None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())
