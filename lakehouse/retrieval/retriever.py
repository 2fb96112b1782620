"""From a question to the passages that a caller may read: keys, model, vector, search, in one place.

A tenant's index can be exchanged for one by another model while questions come in. A question must be embedded by the
model of the very collection that it searches, so the collection is searched by its own name, not by the alias.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from lakehouse.access.permissions import AclDirectory
from lakehouse.errors import InvalidInput
from lakehouse.index.embedding import Embedder, load_embedder
from lakehouse.index.frequencies import FrequencyDirectory
from lakehouse.index.index import Index, Mode, Passage, Superseded, no_tenant
from lakehouse.index.versions import model_of
from lakehouse.retrieval.multihop.ranking import Weights, shipped_weights
from lakehouse.retrieval.multihop.search import Gathered, MultihopSearch
from lakehouse.retrieval.reranking import RERANKED, load_reranker
from lakehouse.settings import LLM_RERANKER, Settings

# An exchange of the index is seen this late; until then the retired collection answers, which is kept.
LIVE_AGE_S = 2.0
T = TypeVar("T")


class Retriever:
    """Searches on behalf of callers; blocking, safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        index: Index | None = None,
        load: Callable[[str], Embedder] = load_embedder,
    ) -> None:
        self._settings = settings
        # the fleet's model is asked by those who count what it costs
        self._cross_encoder = "" if settings.reranker == LLM_RERANKER else settings.reranker
        self._index = index or Index(settings)
        self._acl = AclDirectory(settings)
        self.weights = Weights.read(Path(given)) if (given := settings.multihop_weights) else shipped_weights()
        self._frequencies = FrequencyDirectory(settings)
        self._multihop = MultihopSearch(self._index, self._frequencies, self.weights)
        self._load = load
        self._lock = threading.Lock()
        self._live: dict[str, _Live] = {}

    def search(self, tenant_id: str, groups: Iterable[str], query: str, *, k: int, mode: Mode) -> list[Passage]:
        """The k best passages of the tenant that a member of the groups may read, best first.

        Raises `NotFound` for a tenant without an index, `InvalidInput` for a wrong k or mode, `Unavailable`.
        """
        allowed = self._acl.allowed_keys(tenant_id, groups)
        if not self._cross_encoder:
            return self._again_if_superseded(tenant_id, lambda: self._search(tenant_id, allowed, query, k, mode))
        reranker = load_reranker(self._cross_encoder)
        depth = max(k, RERANKED)
        found = self._again_if_superseded(tenant_id, lambda: self._search(tenant_id, allowed, query, depth, mode))
        return reranker.best(query, found, k)

    def gather(self, tenant_id: str, groups: Iterable[str], query: str) -> Gathered:
        """What a search by mode multihop would score, to learn its weights from; errors as of `search`."""
        allowed = self._acl.allowed_keys(tenant_id, groups)

        def once() -> Gathered:
            live = self._live_collection(tenant_id)
            vector = self._vector(tenant_id, live, query)
            return self._multihop.gather(tenant_id, allowed, query=query, vector=vector, collection=live.collection)

        return self._again_if_superseded(tenant_id, once)

    def best_mode(self, tenant_id: str) -> Mode:
        """`multihop` where the tenant's index can be searched by names, `hybrid` elsewhere.

        Raises `NotFound` for a tenant without an index, `Unavailable`.
        """
        try:
            self._index.check_names(tenant_id, self._live_collection(tenant_id).collection)
        except InvalidInput:
            return "hybrid"
        return "multihop"

    def idf(self, tenant_id: str, terms: Sequence[str]) -> dict[str, float]:
        """How rare each term is in the tenant's chunks, as its idf; empty where terms were not counted."""
        counts = self._frequencies.of(tenant_id)
        return counts.idf(terms) if counts.chunks else {}

    def warm_up(self) -> None:
        """Load the model of new tenants, which most tenants have; others are loaded by their first question."""
        self._load(self._settings.embedding_model)
        if self._cross_encoder:
            load_reranker(self._cross_encoder)

    def close(self) -> None:
        """Close the connection to Milvus."""
        self._index.close()

    def _search(self, tenant_id: str, allowed: tuple[str, ...], query: str, k: int, mode: Mode) -> list[Passage]:
        live = self._live_collection(tenant_id)
        vector = None if mode == "lexical" else self._vector(tenant_id, live, query)
        if mode == "multihop":
            assert vector is not None
            return self._multihop.search(
                tenant_id, allowed, query=query, vector=vector, k=k, collection=live.collection
            )
        return self._index.search(
            tenant_id, allowed, query=query, vector=vector, mode=mode, k=k, collection=live.collection
        )

    def _vector(self, tenant_id: str, live: "_Live", query: str) -> np.ndarray:
        """The question as the collection's model embeds it."""
        live.model = live.model or model_of(self._settings, tenant_id, live.collection)
        return self._load(live.model).encode([query])[0]

    def _again_if_superseded(self, tenant_id: str, search: Callable[[], T]) -> T:
        """What the search gives, by the new collection where the one it went to was dropped meanwhile."""
        try:
            return search()
        except Superseded:
            with self._lock:
                self._live.pop(tenant_id, None)
            return search()

    def _live_collection(self, tenant_id: str) -> "_Live":
        with self._lock:
            live = self._live.get(tenant_id)
        if live and time.monotonic() - live.read_at < LIVE_AGE_S:
            return live
        now = time.monotonic()
        collection = self._index.live_collection(tenant_id)
        if collection is None:
            raise no_tenant(tenant_id)
        live = _Live(collection, now)
        with self._lock:
            self._live[tenant_id] = live
        return live


@dataclass
class _Live:
    """What a tenant's alias pointed at when it was read, and the collection's model once a search needed it."""

    collection: str
    read_at: float
    model: str = ""
