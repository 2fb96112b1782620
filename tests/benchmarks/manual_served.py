"""A manual in a real `milvus-lite server`, searched in every mode as a user's question is, the encoder included.

The chunks that questions need have permission keys of their own. A chunk that a search may not read is no candidate
anywhere, so a search without the key answers like an index without the chunk.
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lakehouse.index.embedding import BUNDLED_MODEL, load_embedder
from lakehouse.index.frequencies import FrequencyDirectory
from lakehouse.index.index import Index
from lakehouse.index.passages import Mode, Passage
from lakehouse.index.rows import IndexRow
from lakehouse.retrieval.multihop.ranking import shipped_weights
from lakehouse.retrieval.multihop.search import MultihopSearch
from lakehouse.settings import Settings
from lakehouse.storage.delta import append
from lakehouse.tables import FREQUENCIES
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import counted_keys, hashed
from tests.benchmarks.manual_index import EVERYONE, TENANT, Manual, ManualQuestion
from tests.lite_server import LiteServer

PORT = 39_741


class Served:
    """The live collection of one manual."""

    def __init__(self, settings: Settings, rows: Sequence[IndexRow], apart: Collection[str]) -> None:
        self._index = Index(settings)
        self._apart = list(apart)
        self._embedder = load_embedder(BUNDLED_MODEL)
        self._collection = self._index.collections.create(TENANT, len(rows[0]["vector"]))
        self._index.writer.upsert(self._collection, rows)
        self._index.collections.publish(TENANT, self._collection)
        _count(settings, rows)
        self._multihop = MultihopSearch(self._index, FrequencyDirectory(settings), shipped_weights())

    def search(self, text: str, mode: Mode, k: int, without: Collection[str] = ()) -> list[Passage]:
        """The k best passages. `without`: ids of chunks in `apart` that the search must not see."""
        allowed = [EVERYONE, *(key for key in self._apart if key not in without)]
        vector: np.ndarray = self._embedder.encode([text])[0]
        if mode == "multihop":
            return self._multihop.search(TENANT, allowed, query=text, vector=vector, k=k, collection=self._collection)
        return self._index.reader.search(
            TENANT, allowed, query=text, vector=vector, mode=mode, k=k, collection=self._collection
        )

    def close(self) -> None:
        self._index.close()


@contextmanager
def served(manual: Manual, questions: Sequence[ManualQuestion], cache: Path) -> Iterator[Served]:
    """The manual in a server of its own, on loopback."""
    apart = {chunk for question in questions for chunk in manual.gold_chunks(question)}
    rows = manual.index_rows(manual.vectors(cache), apart)
    with tempfile.TemporaryDirectory() as home:
        server = LiteServer(Path(home) / "milvus", PORT)
        server.start()
        try:
            index = Served(Settings(home=Path(home), milvus_uri=f"http://127.0.0.1:{PORT}"), rows, apart)
            yield index
            index.close()
        finally:
            server.stop()


def _count(settings: Settings, rows: Sequence[IndexRow]) -> None:
    counts: Counter[str] = Counter()
    begun: set[str] = set()
    for row in rows:
        place = Place(row["source"], row["doc_id"], row["uri"])
        counts.update(counted_keys(row["title"], row["heading"], row["text"], place, begins=row["doc_id"] not in begun))
        begun.add(row["doc_id"])
    shared = {"tenant_id": TENANT, "ingest_run_id": "bench"}
    append(settings, FREQUENCIES, [shared | {"key": hashed(key), "chunks": count} for key, count in counts.items()])
