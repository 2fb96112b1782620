"""How rare names and terms are in a tenant: what a shared name or a word of the question is worth.

`silver.frequencies` holds the exact counts. A process that answers questions keeps of each tenant the million most
frequent keys, hashed: an absent key is rarer than all of those. So memory is bounded, however large the tenant.
"""

import math
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

MAX_KEYS = 1_000_000
"""8 MB a tenant."""
OWN, SAY, TERM = "own:", "say:", "term:"
"""What a key begins with: a name of a chunk's document, a name that a chunk speaks of, a term of its text."""


def hashed(key: str) -> int:
    """32 bits of a key: its dimension in Milvus's sparse vectors, and its place in memory.

    With a million keys kept, one in 4,300 others meets one of them, and is thought too common: it costs a candidate.
    """
    return min(crc32(key.encode()), 0xFFFFFFFE)  # Milvus takes no dimension of 2**32 - 1


class Frequencies:
    """In how many of a tenant's chunks a key stands."""

    def __init__(self, chunks: int, hashes: np.ndarray, counts: np.ndarray) -> None:
        order = np.argsort(hashes, kind="stable")
        self.chunks = chunks
        self._hashes = hashes[order].astype(np.uint32)
        self._counts = counts[order].astype(np.uint32)

    @classmethod
    def of(cls, chunks: int, counts: Mapping[str, int]) -> "Frequencies":
        """From exact counts: the most frequent are kept."""
        kept = sorted(counts, key=lambda key: -counts[key])[:MAX_KEYS]
        hashes = np.array([hashed(key) for key in kept], dtype=np.uint32)
        return cls(chunks, hashes, np.array([counts[key] for key in kept], dtype=np.uint32))

    def counts(self, keys: Sequence[str]) -> np.ndarray:
        """(len(keys),); 1 for a key that is not kept."""
        if not len(self._hashes) or not keys:
            return np.ones(len(keys))
        asked = np.array([hashed(key) for key in keys], dtype=np.uint32)
        places = np.minimum(np.searchsorted(self._hashes, asked), len(self._hashes) - 1)
        return np.maximum(np.where(self._hashes[places] == asked, self._counts[places], 1), 1).astype(float)

    def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """Inverse document frequencies of terms, as BM25 (Lucene's) has them."""
        held = self.counts([TERM + term for term in terms])
        found = np.log1p((np.maximum(self.chunks - held, 0) + 0.5) / (held + 0.5))
        return dict(zip(terms, found.tolist(), strict=True))

    def rarity(self, kind: str, names: Sequence[str]) -> np.ndarray:
        """How rare names are, (len(names),): 0 for one in every chunk, 1 for one in a single chunk."""
        chunks = max(self.chunks, 2)
        held = np.minimum(self.counts([kind + name for name in names]), chunks)
        return np.asarray(np.log(chunks / held) / math.log(chunks))
