"""What a program does at which probability of a passage: the bounds, each with its measured reason.

Multi-hop search gives each passage the probability that the question needs it (docs/evidence/search-confidence.md). A
search that gives none leaves `probability` None; then no bound applies.
"""

from collections.abc import Iterable

from lakehouse.index.passages import Passage

NOTHING = 0.05
"""A question is declined unread where all passages lie below: none of the pools' answerable questions, and 1 in 12 of
another pool's. `tests.benchmarks.declining` measures other bounds."""
UNLIKELY = 0.02  # 1 in 120 of the passages that questions of `hotpot_pool` need lies below; they are read last
MAY_BE_NEEDED = 0.1  # from here a passage is read beside others: a passage below it leads a small model astray
NEEDED = 0.4  # a passage above it begins the chain
HARD = 0.5
"""A look-up is hard where the passage of its fact is more likely not needed. `tests.benchmarks.confidence` measures how
often the first passage is right above and below it."""


def nothing_is_likely(passages: Iterable[Passage]) -> bool:
    """Whether no passage is worth a model's reading."""
    known = [passage.probability for passage in passages if passage.probability is not None]
    return bool(known) and max(known) < NOTHING


def is_unlikely(passage: Passage) -> bool:
    """Whether a passage is hardly worth a model's reading."""
    return passage.probability is not None and passage.probability < UNLIKELY


def may_be_needed(passage: Passage) -> bool:
    """Whether a passage is worth reading beside others."""
    return (passage.probability or 0.0) >= MAY_BE_NEEDED


def is_needed(passage: Passage) -> bool:
    """Whether the search is confident of a passage."""
    return (passage.probability or 0.0) >= NEEDED


def is_hard(passage: Passage) -> bool:
    """Whether the probability is too low to take this passage's word for a fact."""
    return passage.probability is not None and passage.probability < HARD
