"""How rare names and terms are in a tenant: the weight of a shared name or of a word of the question.

`silver.frequencies` holds the exact counts by hashed keys, and no document text. A process that answers questions keeps
the million most frequent keys of each tenant, so memory is bounded for a tenant of any size. An absent key is rarer
than all of these keys.
"""

import math
import threading
from collections.abc import Mapping, Sequence

import numpy as np
from cachetools import LRUCache, TTLCache, cachedmethod

from lakehouse.access.permissions import check_tenant
from lakehouse.settings import Settings
from lakehouse.storage.delta import existing_table, read_batches
from lakehouse.tables import FREQUENCIES
from lakehouse.text.name_keys import EVERY_CHUNK, TERM, hashed
from lakehouse.text.spelling import likely_spellings, possible_spellings
from lakehouse.text.terms import is_stopped, stem

MAX_KEYS = 1_000_000
"""12 MB a tenant."""
MAX_TENANTS = 64
KNOWN = 2  # chunks; a word in one chunk alone is not kept, and may be somebody's slip
MUCH_MORE = 4
"""A misspelt word is taken for one that stands in at least so many chunks."""
LIKELIER = 10  # a likely spelling wins over a possible one of so many times the chunks
SHORTEST = 5  # letters; of a shorter word too many others are one slip away
LONGEST_ENDING = 4  # letters that the stem of a real word drops: `govement` is none, though its stem is `gov`
AGE_S = 60.0
"""New counts are seen this late: counts affect only the order of results, and a few changes hardly that."""


class Frequencies:
    """The number of a tenant's chunks that hold a key."""

    def __init__(self, chunks: int, hashes: np.ndarray, counts: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        self.chunks = chunks
        self._hashes = hashes[order].astype(np.int64)
        self._counts = counts[order].astype(np.uint32)

    @classmethod
    def of(cls, chunks: int, counts: Mapping[str, int]) -> "Frequencies":
        """From exact counts; the most frequent keys are kept."""
        kept = sorted(counts, key=lambda key: -counts[key])[:MAX_KEYS]
        hashes = np.array([hashed(key) for key in kept], dtype=np.int64)
        return cls(chunks, hashes, np.array([counts[key] for key in kept], dtype=np.uint32))

    def counts(self, keys: Sequence[str]) -> np.ndarray:
        """Chunk counts of the keys, (len(keys),); 1 for a key that is not kept."""
        if not len(self._hashes) or not keys:
            return np.ones(len(keys))
        wanted = np.fromiter(map(hashed, keys), dtype=np.int64, count=len(keys))
        positions = np.minimum(np.searchsorted(self._hashes, wanted), len(self._hashes) - 1)
        return np.maximum(np.where(self._hashes[positions] == wanted, self._counts[positions], 1), 1).astype(float)

    def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequency of each term, by Lucene's formula of BM25."""
        counts = self.counts([TERM + term for term in terms])
        idf = np.log1p((np.maximum(self.chunks - counts, 0) + 0.5) / (counts + 0.5))
        return dict(zip(terms, idf.tolist(), strict=True))

    def corrections(self, words: Sequence[str]) -> dict[str, str]:
        """For each misspelt word the word that is meant, maybe a stop word; known words and words like none are absent.

        `words`: folded, of the letters a to z alone.
        """
        meant = {word: self._meant(word) for word in dict.fromkeys(words) if self._is_strange(word)}
        return {word: other for word, other in meant.items() if other}

    def _is_strange(self, word: str) -> bool:
        is_long = len(word) >= SHORTEST and not is_stopped(word)
        return is_long and self.counts([TERM + stem(word)])[0] < KNOWN

    def _meant(self, word: str) -> str | None:
        """The spelling that stands in many chunks, or else a stop word."""
        likely = likely_spellings(word)
        all_spellings = [*likely, *possible_spellings(word)]
        if stopped := [spelling for spelling in all_spellings if is_stopped(spelling) and len(spelling) >= SHORTEST]:
            return stopped[0]
        stems = [(spelling, stem(spelling)) for spelling in all_spellings]
        real = [(spelling, term) for spelling, term in stems if len(spelling) - len(term) <= LONGEST_ENDING]
        counts = self.counts([TERM + term for _, term in real])
        weights = np.where(np.isin([spelling for spelling, _ in real], likely), LIKELIER, 1)
        best = int(np.argmax(np.where(counts >= MUCH_MORE, counts * weights, 0)))
        return real[best][0] if counts[best] >= MUCH_MORE else None

    def rarity(self, counts: np.ndarray) -> np.ndarray:
        """Rarity for these counts, 0 to 1: 0 for a key in every chunk, 1 for a key in one chunk."""
        chunks = max(self.chunks, 2)
        return np.asarray(np.log(chunks / np.minimum(counts, chunks)) / math.log(chunks))


class FrequencyDirectory:
    """The tenants' counts from `silver.frequencies`; safe to share between threads."""

    def __init__(self, settings: Settings, age_s: float = AGE_S) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._current: TTLCache[str, Frequencies] = TTLCache(MAX_TENANTS, age_s)
        self._by_files: LRUCache[str, tuple[frozenset[str], Frequencies]] = LRUCache(MAX_TENANTS)

    @cachedmethod(lambda self: self._current, key=lambda _, tenant_id: tenant_id, lock=lambda self: self._lock)
    def of(self, tenant_id: str) -> Frequencies:
        """The tenant's counts, at most a minute old; no chunks and no keys for a tenant without counts.

        Counts are read again only when the files of the tenant's rows changed.
        """
        files = self._files(tenant_id)
        with self._lock:
            known = self._by_files.get(tenant_id)
        if known and known[0] == files:
            return known[1]
        counts = self._read(tenant_id)
        with self._lock:
            self._by_files[tenant_id] = (files, counts)
        return counts

    def _files(self, tenant_id: str) -> frozenset[str]:
        """The files of the tenant's rows. Commits of other tenants do not change them."""
        table = existing_table(self._settings, FREQUENCIES)
        return (
            frozenset(table.file_uris(file_pruning_predicate=f"tenant_id = '{check_tenant(tenant_id)}'"))
            if table
            else frozenset()
        )

    def _read(self, tenant_id: str) -> Frequencies:
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        chunks, size = 0, 0
        every_chunk = hashed(EVERY_CHUNK)
        where = [("tenant_id", "=", tenant_id), ("chunks", ">", 1)]  # an absent key counts as 1
        for batch in read_batches(self._settings, FREQUENCIES, where, ("key", "chunks")):
            hashes, counts = batch.column("key").to_numpy(), batch.column("chunks").to_numpy()
            chunks = max([chunks, *counts[hashes == every_chunk].tolist()])
            parts.append((hashes, counts))
            size += len(hashes)
            if size > 2 * MAX_KEYS:
                parts = [_most_frequent(parts)]
                size = len(parts[0][0])
        return Frequencies(chunks, *_most_frequent(parts))


def _most_frequent(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """All hashes and counts in two arrays, cut to the `MAX_KEYS` highest counts."""
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    hashes, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(counts) <= MAX_KEYS:
        return hashes, counts
    kept = np.argpartition(-counts, MAX_KEYS)[:MAX_KEYS]
    return hashes[kept], counts[kept]
