"""The lexical part of a search: the analyzer, BM25 where Milvus has none, and the fusion of rankings.

Numbers were measured on two pools of multi-hop questions (300 each, 2,960 and 5,021 passages, MiniLM vectors).
"""

from collections.abc import Sequence
from typing import Any

import bm25s
import numpy as np

from lakehouse.text.stop_words import STOP_WORDS
from lakehouse.text.terms import is_stopped

# Flatter than the usual 1.2 and 0.75: chunks have about the same length, so length says little. Recall@5 after
# fusion 82.5 and 58.4, with the usual values 82.3 and 56.9.
BM25_K1 = 0.9
BM25_B = 0.4
# With the usual 60, a passage at rank 30 of both rankings beats the best of one ranking: recall@5 80.7 and 54.4,
# against 82.5 and 58.4.
RRF_K = 1
# Passages of each ranking that are fused; 100 find no more.
FUSION_DEPTH = 50
LEAST_FUSED = 4
"""Passages to ask a fusion for at least: up to three share the highest score, and words decide between them."""
_SCORE_DIGITS = 6  # Milvus adds in 32 bits

# `lakehouse.text.search_text` cuts texts and queries into words of letters and digits; milvus-lite and a Milvus server
# then split them alike at blanks. (milvus-lite knows no tokenizer `whitespace`.) `_terms` gives the same.
ANALYZER: dict[str, Any] = {
    "tokenizer": "standard",
    "filter": ["lowercase", {"type": "stop", "stop_words": list(STOP_WORDS)}],
}


class LexicalIndex:
    """BM25 over one collection, in memory, for a Milvus older than 2.5; immutable once built."""

    def __init__(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Index rows of chunk id, `acl_key` and search text."""
        self._chunk_ids = [chunk_id for chunk_id, _, _ in rows]
        self._acl_keys = np.array([key for _, key, _ in rows])
        self._bm25: bm25s.BM25 | None = None
        corpus = [_terms(text) for _, _, text in rows]
        if any(corpus):  # bm25s cannot index an empty corpus
            self._bm25 = bm25s.BM25(method="lucene", k1=BM25_K1, b=BM25_B)
            self._bm25.index(corpus, show_progress=False)

    def search(self, query: str, allowed_keys: Sequence[str], limit: int) -> list[tuple[str, float]]:
        """Chunk ids and BM25 scores, best first, of chunks with an allowed key that share a term with the query.

        `query`: a search text.
        """
        terms = _terms(query)
        if self._bm25 is None or not terms:
            return []
        mask = np.isin(self._acl_keys, list(allowed_keys)).astype(np.float32)
        scores = self._bm25.get_scores(terms, weight_mask=mask)
        best = np.argsort(-scores, kind="stable")[:limit]
        return [(self._chunk_ids[i], float(scores[i])) for i in best if scores[i] > 0]


def fuse(rankings: Sequence[Sequence[str]], limit: int) -> list[tuple[str, float]]:
    """Reciprocal rank fusion: ids by the sum of 1 / (RRF_K + rank) over the rankings that hold the id, best first.

    Cormack, Clarke and Büttcher, SIGIR 2009. Milvus computes the same for `RRFRanker`.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, chunk_id in enumerate(ranking, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + 1 / (RRF_K + rank)
    return sorted(scores.items(), key=lambda item: -item[1])[:limit]


def ties_by_words(query: str, scores: Sequence[float], texts: Sequence[str]) -> list[int]:
    """Places of passages, best first: by score, and passages of equal scores by the query's words that they hold.

    A word counts the more the fewer of these passages hold it: a part number beats the words around it. `query` and
    `texts` are search texts. Otherwise a passage that alone holds the words asked for loses to the nearest vector,
    because each is the first of one ranking.
    """
    held = [set(text.split()) for text in texts]
    asked = {word for word in query.split() if not is_stopped(word)}
    worth = {word: 1 / count for word in asked if (count := sum(word in words for words in held))}
    shares = [sum(worth[word] for word in worth.keys() & words) for words in held]
    return sorted(range(len(scores)), key=lambda place: (-round(scores[place], _SCORE_DIGITS), -shares[place]))


def _terms(search_text: str) -> list[str]:
    return [term for term in search_text.split() if term not in STOP_WORDS]
