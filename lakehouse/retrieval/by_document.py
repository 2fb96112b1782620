"""Results of a search by document: five passages of one document must not push out four other documents."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from lakehouse.index.passages import MAX_K, Passage

MAX_PASSAGES = 10
"""Of one document in a result."""
_FETCHED = 3
"""Passages fetched for each document wanted: a search costs hardly more (docs/evidence/results-by-document.md)."""
_DEEPER = 4

Key = tuple[str, str]


def document_of(passage: Passage) -> Key:
    """The key of a passage's document in its tenant: two sources may use one id."""
    return passage.source, passage.doc_id


def by_document(passages: Sequence[Passage], per_document: int = 1) -> list[Passage]:
    """The best passage of each document in order, with up to `per_document` - 1 others of it as `more`."""
    documents: dict[Key, list[Passage]] = {}
    for passage in passages:
        documents.setdefault(document_of(passage), []).append(passage)
    return [replace(best, more=tuple(others[: per_document - 1])) for best, *others in documents.values()]


def best_documents(
    find: Callable[[int], Sequence[Passage]], k: int, per_document: int, is_shown: Callable[[Passage], bool], shown: int
) -> list[Passage]:
    """The k best documents that are not shown yet, as of `by_document`; fewer where no more are among `MAX_K` passages.

    `find` gives so many of the best passages; it is asked for more until they hold k documents. `shown`: how many.
    """
    depth = min(MAX_K, _FETCHED * (k + shown) * max(1, per_document // 2))
    while True:
        passages = find(depth)
        documents = by_document([one for one in passages if not is_shown(one)], per_document)
        if len(documents) >= k or len(passages) < depth or depth == MAX_K:
            return documents[:k]
        depth = min(MAX_K, _DEEPER * depth)


def spread(passages: Sequence[Passage], k: int, per_document: int) -> list[Passage]:
    """The first k passages with at most `per_document` of each document; further ones only where k are not reached."""
    first: list[Passage] = []
    further: list[Passage] = []
    counts: Counter[Key] = Counter()
    for passage in passages:
        key = document_of(passage)
        counts[key] += 1
        (first if counts[key] <= per_document else further).append(passage)
    return [*first[:k], *further[: max(0, k - len(first))]]
