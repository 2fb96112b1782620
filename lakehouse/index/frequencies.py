"""How rare names and terms are in a tenant: what a shared name or a word of the question is worth.

`silver.frequencies` holds the exact counts, by hashed keys: no text of a document stands there. A process that answers
questions keeps of each tenant the million most frequent keys: an absent key is rarer than all of those. So memory is
bounded, however large the tenant, and what is kept is no graph.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lakehouse.access.permissions import check_tenant
from lakehouse.settings import Settings
from lakehouse.storage.delta import existing_table, read_batches
from lakehouse.tables import FREQUENCIES
from lakehouse.text.name_keys import EVERY_CHUNK, TERM, hashed

MAX_KEYS = 1_000_000
"""12 MB a tenant."""
MAX_TENANTS = 64
AGE_S = 60.0
"""Counts are read again this late: they decide nothing but the order of results, and a few changes not even that."""


class Frequencies:
    """In how many of a tenant's chunks a key stands."""

    def __init__(self, chunks: int, hashes: np.ndarray, counts: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        self.chunks = chunks
        self._hashes = hashes[order].astype(np.int64)
        self._counts = counts[order].astype(np.uint32)

    @classmethod
    def of(cls, chunks: int, counts: Mapping[str, int]) -> "Frequencies":
        """From exact counts: the most frequent are kept."""
        kept = sorted(counts, key=lambda key: -counts[key])[:MAX_KEYS]
        hashes = np.array([hashed(key) for key in kept], dtype=np.int64)
        return cls(chunks, hashes, np.array([counts[key] for key in kept], dtype=np.uint32))

    def counts(self, keys: Sequence[str]) -> np.ndarray:
        """(len(keys),); 1 for a key that is not kept."""
        if not len(self._hashes) or not keys:
            return np.ones(len(keys))
        asked = np.fromiter(map(hashed, keys), dtype=np.int64, count=len(keys))
        places = np.minimum(np.searchsorted(self._hashes, asked), len(self._hashes) - 1)
        return np.maximum(np.where(self._hashes[places] == asked, self._counts[places], 1), 1).astype(float)

    def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequencies of terms, as BM25 (Lucene's) has them."""
        held = self.counts([TERM + term for term in terms])
        found = np.log1p((np.maximum(self.chunks - held, 0) + 0.5) / (held + 0.5))
        return dict(zip(terms, found.tolist(), strict=True))

    def rarity(self, counts: np.ndarray) -> np.ndarray:
        """How rare something with these counts is: 0 in every chunk, 1 in a single one."""
        chunks = max(self.chunks, 2)
        return np.asarray(np.log(chunks / np.minimum(counts, chunks)) / math.log(chunks))


class FrequencyDirectory:
    """The tenants' counts, read from `silver.frequencies`; safe to share between threads."""

    def __init__(self, settings: Settings, age_s: float = AGE_S) -> None:
        self._settings = settings
        self._age_s = age_s
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Read] = OrderedDict()

    def of(self, tenant_id: str) -> Frequencies:
        """The tenant's counts as of at most a minute ago; a tenant without any has no chunk and no key."""
        now = time.monotonic()
        with self._lock:
            known = self._known.get(tenant_id)
        if known and now - known.read_at < self._age_s:
            return known.counts
        files = self._files(tenant_id)
        counts = known.counts if known and known.files == files else self._read(tenant_id)
        with self._lock:
            self._known[tenant_id] = _Read(now, files, counts)
            self._known.move_to_end(tenant_id)
            while len(self._known) > MAX_TENANTS:
                self._known.popitem(last=False)
        return counts

    def _files(self, tenant_id: str) -> frozenset[str]:
        """The files of the tenant's rows: another tenant's commit leaves them as they are."""
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
        where = [("tenant_id", "=", tenant_id), ("chunks", ">", 1)]  # 1 is what an absent key is taken for
        for batch in read_batches(self._settings, FREQUENCIES, where, ("key", "chunks")):
            hashes, counts = batch.column("key").to_numpy(), batch.column("chunks").to_numpy()
            chunks = max([chunks, *counts[hashes == every_chunk].tolist()])
            parts.append((hashes, counts))
            size += len(hashes)
            if size > 2 * MAX_KEYS:
                parts = [_most_frequent(parts)]
                size = len(parts[0][0])
        return Frequencies(chunks, *_most_frequent(parts))


@dataclass(frozen=True)
class _Read:
    read_at: float
    files: frozenset[str]
    counts: Frequencies


def _most_frequent(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Hashes and counts in one, cut to the `MAX_KEYS` highest counts."""
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    hashes, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(counts) <= MAX_KEYS:
        return hashes, counts
    kept = np.argpartition(-counts, MAX_KEYS)[:MAX_KEYS]
    return hashes[kept], counts[kept]
