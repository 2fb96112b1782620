"""Lexical search for a Milvus without BM25 (older than 2.5): an index in memory for each collection."""

import threading
from collections.abc import Callable, Iterable

from cachetools import LRUCache

from lakehouse.index.lexical import LexicalIndex

MAX_COLLECTIONS = 16
"""Collections whose words are kept in memory."""


class LexicalIndexes:
    """The latest `LexicalIndex` of each collection; safe to share between threads."""

    def __init__(self) -> None:
        self._indexes: LRUCache[str, tuple[int, LexicalIndex]] = LRUCache(MAX_COLLECTIONS)
        self._lock = threading.Lock()

    def get(
        self, collection: str, write_count: int, read_chunks: Callable[[], Iterable[tuple[str, str, str]]]
    ) -> LexicalIndex:
        """The collection's index; after `write_count` changed, it is built again from `read_chunks`.

        `read_chunks` gives chunk id, `acl_key` and text of each chunk. Other searches wait while an index is built,
        because a second copy would double the memory.
        """
        with self._lock:
            cached = self._indexes.get(collection)
            if cached is None or cached[0] != write_count:
                cached = self._indexes[collection] = (write_count, LexicalIndex(list(read_chunks())))
            return cached[1]
