"""Multi-hop search of one tenant's index: two calls to Milvus, both filtered by the caller's permissions, then scoring.

Candidates, names and vectors come from those two searches alone. A passage that the caller may not read is no
candidate: it is not returned, leads to no other passage and changes no score. The counts of names and terms, which say
how rare a name is, are the whole tenant's.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache

from lakehouse.index.frequencies import Frequencies, FrequencyDirectory
from lakehouse.index.passages import Passage
from lakehouse.index.reader import Reader
from lakehouse.index.rows import StoredPassage
from lakehouse.index.search_filters import SearchFilters
from lakehouse.retrieval.multihop.candidates import (
    FETCHED,
    FIRST_DEPTH,
    STARTS,
    choose_candidates,
    choose_seeds,
    names_to_find,
)
from lakehouse.retrieval.multihop.features import OWN, PAIR, CandidateFeatures
from lakehouse.retrieval.multihop.ranking import SEEDS, Weights, rank
from lakehouse.retrieval.multihop.texts import CandidatePassage

MAX_CHARACTERS = 32_000_000
"""Of rows whose decoded form stays in memory: about 12,000 passages of 76 words. The decoded form takes as much."""


@dataclass(frozen=True)
class Gathered:
    """The results of both searches for a question: the candidates to score, and all passages by chunk id."""

    question: str
    vector: np.ndarray
    candidates: Sequence[CandidatePassage]
    passages: Mapping[str, Passage]
    frequencies: Frequencies

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Features of each candidate (n, len(OWN)) and of each pair (s, n, len(PAIR)); empty without candidates."""
        if not self.candidates:
            return np.zeros((0, len(OWN)), dtype=np.float32), np.zeros((0, 0, len(PAIR)), dtype=np.float32)
        features = CandidateFeatures(self.question, self.vector, self.candidates, SEEDS, self.frequencies)
        return features.own(), features.pair()


class MultihopSearch:
    """Finds the passages that a question needs together; blocking, safe to share between threads."""

    def __init__(self, reader: Reader, frequencies: FrequencyDirectory, weights: Weights) -> None:
        self._reader = reader
        self._frequencies = frequencies
        self.weights = weights
        self._rows = _DecodedRows()

    def search(
        self,
        tenant_id: str,
        allowed_keys: Sequence[str],
        *,
        query: str,
        vector: np.ndarray,
        k: int,
        collection: str,
        filters: SearchFilters | None = None,
    ) -> list[Passage]:
        """The k passages (at most `KEPT`) that the question needs most, best first, each with the path to it.

        Raises `InvalidInput` where the server or the collection cannot be searched by names, `Unavailable`.
        """
        gathered = self.gather(
            tenant_id, allowed_keys, query=query, vector=vector, collection=collection, filters=filters
        )
        ranking = rank(query, vector, gathered.candidates, self.weights, k=k, frequencies=gathered.frequencies)
        return [
            replace(
                gathered.passages[ranked.chunk_id],
                score=ranked.score,
                probability=ranked.probability,
                path=ranked.path,
                covers=ranked.covers,
            )
            for ranked in ranking
        ]

    def gather(
        self,
        tenant_id: str,
        allowed_keys: Sequence[str],
        *,
        query: str,
        vector: np.ndarray,
        collection: str,
        filters: SearchFilters | None = None,
    ) -> Gathered:
        """The candidates for a question, by two calls to Milvus; errors as of `search`."""
        self._reader.check_names(tenant_id, collection)
        frequencies = self._frequencies.of(tenant_id)
        if not allowed_keys or not query.strip():
            return Gathered(query, vector, [], {}, frequencies)
        first = self._reader.candidates(
            tenant_id,
            allowed_keys,
            query=query,
            vector=vector,
            k=FIRST_DEPTH,
            collection=collection,
            filters=filters,
        )
        if not first:
            return Gathered(query, vector, [], {}, frequencies)
        seeds, scores = choose_seeds(query, vector, [self._rows.candidate(row) for row in first], frequencies)
        seed_ids = {seed.chunk_id for seed in seeds}
        wanted = names_to_find(query, seeds, scores, frequencies)
        by_names = self._reader.candidates_by_names(
            tenant_id, allowed_keys, wanted=wanted, k=FETCHED + STARTS, collection=collection, filters=filters
        )
        second = [row for row in by_names if row.passage.chunk_id not in seed_ids]
        fetched, promise = [self._rows.candidate(row) for row in second], [row.passage.score for row in second]
        passages = {row.passage.chunk_id: row.passage for row in (*first, *second)}
        return Gathered(query, vector, choose_candidates(seeds, fetched, promise, vector), passages, frequencies)


class _DecodedRows:
    """Rows of the index as candidates: the words and names of a row are read once. Safe to share between threads.

    The key is all that the index returned of a row, and the candidate follows from it alone. So no entry goes stale,
    and a caller without permission for a row has no key to its entry.
    """

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._lock = threading.Lock()
        self._candidates: LRUCache[tuple[str, ...], tuple[CandidatePassage, int]] = LRUCache(
            max_characters, getsizeof=lambda entry: entry[1]
        )

    def candidate(self, row: StoredPassage) -> CandidatePassage:
        """The row as a candidate, from memory where it is there."""
        passage = row.passage
        key = (passage.chunk_id, passage.title, passage.text, passage.heading, row.spoken, row.direction)
        with self._lock:
            if entry := self._candidates.get(key):
                return entry[0]
        candidate = CandidatePassage(
            passage.chunk_id, passage.title, passage.text, row.vector, row.names, passage.heading
        )
        with self._lock:
            self._candidates[key] = (candidate, sum(map(len, key)))
        return candidate
