"""How sure a mean over questions is, what two systems differ by, and how well a number tells two kinds apart.

Questions are drawn with replacement, 5,000 times; the interval holds the middle 95 % of the means.
"""

from collections.abc import Sequence

import numpy as np

DRAWS = 5_000
_SEED = 7


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of one value a question, and the bounds of its 95 % interval."""
    given = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(_SEED).integers(len(given), size=(DRAWS, len(given)))
    low, high = np.percentile(given[drawn].mean(axis=1), [2.5, 97.5])
    return float(given.mean()), float(low), float(high)


def shown(values: Sequence[float]) -> str:
    """A share of questions in per cent with its interval, `76.4 (72.1-80.5)`."""
    return "{:.1f} ({:.1f}-{:.1f})".format(*(100 * value for value in interval(values)))


def difference(first: Sequence[float], second: Sequence[float]) -> str:
    """How much more the first has than the second over the same questions, in points, `+12.5 (6.3 to 18.8)`."""
    paired = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * value for value in interval(list(paired))))


def told_apart(higher: Sequence[float], lower: Sequence[float]) -> float:
    """How often a value of the first is above one of the second: 0.5 by chance, 1 always (area under the ROC curve)."""
    above = np.asarray(higher)[:, None] - np.asarray(lower)[None, :]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())
