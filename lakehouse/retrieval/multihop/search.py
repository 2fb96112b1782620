"""Multi-hop search of one tenant's index: two round trips, both filtered by what the caller may read, then arithmetic.

Candidates, names and vectors come from those two searches alone. What the caller may not read is no candidate, so it
neither appears, nor leads anywhere, nor counts for what others score; the counts of names and terms, which decide how
rare something is, are the tenant's.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lakehouse.index.frequencies import Frequencies, FrequencyDirectory
from lakehouse.index.index import Index
from lakehouse.index.layout import names_of, vector_of
from lakehouse.index.passages import Indexed, Passage
from lakehouse.retrieval.multihop.candidates import FETCHED, FIRST_DEPTH, STARTS, first_seeds, kept, names_to_find
from lakehouse.retrieval.multihop.features import OWN, PAIR, Evidence
from lakehouse.retrieval.multihop.ranking import SEEDS, Weights, rank
from lakehouse.retrieval.multihop.texts import Candidate

CHARACTERS = 32_000_000
"""Of rows that a process remembers as read, about 12,000 passages of 76 words; what is read of them takes as much."""


@dataclass(frozen=True)
class Gathered:
    """What two searches brought for a question: the candidates to score, and all passages by chunk id."""

    question: str
    vector: np.ndarray
    candidates: Sequence[Candidate]
    passages: Mapping[str, Passage]
    frequencies: Frequencies

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each candidate (n, len(OWN)) and of each pair (s, n, len(PAIR)); both empty where nothing was found."""
        if not self.candidates:
            return np.zeros((0, len(OWN)), dtype=np.float32), np.zeros((0, 0, len(PAIR)), dtype=np.float32)
        evidence = Evidence(self.question, self.vector, self.candidates, SEEDS, self.frequencies)
        return evidence.own(), evidence.pair()


class MultihopSearch:
    """Finds the passages that a question needs together; blocking, safe to share between threads."""

    def __init__(self, index: Index, frequencies: FrequencyDirectory, weights: Weights) -> None:
        self._index = index
        self._frequencies = frequencies
        self.weights = weights
        self._rows = _ReadRows()

    def search(
        self, tenant_id: str, allowed_keys: Sequence[str], *, query: str, vector: np.ndarray, k: int, collection: str
    ) -> list[Passage]:
        """The k passages (at most `KEPT`) that the question needs most, best first, each with the path to it.

        Raises `InvalidInput` where the server or the collection cannot be searched by names, `Unavailable`.
        """
        found = self.gather(tenant_id, allowed_keys, query=query, vector=vector, collection=collection)
        ranked = rank(query, vector, found.candidates, self.weights, k=k, frequencies=found.frequencies)
        return [
            replace(
                found.passages[one.chunk_id],
                score=one.score,
                probability=one.probability,
                path=one.path,
                covers=one.covers,
            )
            for one in ranked
        ]

    def gather(
        self, tenant_id: str, allowed_keys: Sequence[str], *, query: str, vector: np.ndarray, collection: str
    ) -> Gathered:
        """The candidates for a question, by two round trips; errors as of `search`."""
        self._index.check_names(tenant_id, collection)
        counts = self._frequencies.of(tenant_id)
        if not allowed_keys or not query.strip():
            return Gathered(query, vector, [], {}, counts)
        found = self._index.candidates(
            tenant_id, allowed_keys, query=query, vector=vector, k=FIRST_DEPTH, collection=collection
        )
        if not found:
            return Gathered(query, vector, [], {}, counts)
        seeds, scores = first_seeds(query, vector, [self._rows.candidate(one) for one in found], counts)
        known = {seed.chunk_id for seed in seeds}
        wanted = names_to_find(query, seeds, scores, counts)
        by_names = self._index.candidates_by_names(
            tenant_id, allowed_keys, wanted=wanted, k=FETCHED + STARTS, collection=collection
        )
        led = [one for one in by_names if one.passage.chunk_id not in known]
        chosen = kept(seeds, [self._rows.candidate(one) for one in led], [one.passage.score for one in led], vector)
        passages = {one.passage.chunk_id: one.passage for one in (*found, *led)}
        return Gathered(query, vector, chosen, passages, counts)


class _ReadRows:
    """Rows of the index as candidates, whose words and names need to be read but once.

    A candidate follows from all that the engine returned of its row, and the whole of that is the key here: so nothing
    goes stale, and who may not read a row has no key to it. Safe to share between threads.
    """

    def __init__(self, max_characters: int = CHARACTERS) -> None:
        self._max_characters = max_characters
        self._characters = 0
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, ...], Candidate] = OrderedDict()

    def candidate(self, one: Indexed) -> Candidate:
        """The row as a candidate, remembered while there is room."""
        of = one.passage
        row = (of.chunk_id, of.title, of.text, of.heading, one.spoken, one.direction)
        with self._lock:
            if known := self._known.get(row):
                self._known.move_to_end(row)
                return known
        read = Candidate(of.chunk_id, of.title, of.text, vector_of(one.direction), names_of(one.spoken), of.heading)
        with self._lock:
            if row not in self._known:
                self._known[row] = read
                self._characters += sum(map(len, row))
            while self._characters > self._max_characters:
                self._characters -= sum(map(len, self._known.popitem(last=False)[0]))
        return read
