"""From a question to the passages that a caller may read: permissions, embedding and search in one place.

A tenant's index can be exchanged for one by another embedding model while questions come in. A question must be
embedded by the model of the collection that it searches, so searches name the collection, not the alias.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from cachetools import LRUCache, TTLCache, cachedmethod

from lakehouse.access.permissions import acl_directory
from lakehouse.errors import InvalidInput
from lakehouse.index.embedding import Embedder, load_embedder
from lakehouse.index.frequencies import FrequencyDirectory
from lakehouse.index.index import Index
from lakehouse.index.passages import Mode, Passage
from lakehouse.index.reader import Reader, Superseded, no_tenant
from lakehouse.index.search_filters import SearchFilters
from lakehouse.index.versions import Version, recorded_version
from lakehouse.retrieval.by_document import best_documents
from lakehouse.retrieval.multihop.ranking import Weights, shipped_weights
from lakehouse.retrieval.multihop.search import Gathered, MultihopSearch
from lakehouse.retrieval.paging import Pages
from lakehouse.retrieval.reranking import RERANKED, load_reranker
from lakehouse.settings import LLM_RERANKER, Settings

LIVE_AGE_S = 2.0
"""An exchanged index is seen this late. Until then the retired collection answers, which is kept."""
_MAX_TENANTS = 4_096

log = logging.getLogger("lakehop.retrieval")


class Retriever:
    """Searches on behalf of callers; blocking, safe to share between threads. Build one a process."""

    def __init__(
        self,
        settings: Settings,
        reader: Reader | None = None,
        load: Callable[[str], Embedder] = load_embedder,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        # the fleet's model costs money, so `agents.task.reranking` calls it
        self._cross_encoder = "" if settings.reranker == LLM_RERANKER else settings.reranker
        self._reader = reader or Index(settings).reader
        self._acl = acl_directory(settings)
        self.weights = Weights.read(Path(given)) if (given := settings.multihop_weights) else shipped_weights()
        self._frequencies = FrequencyDirectory(settings)
        self._multihop = MultihopSearch(self._reader, self._frequencies, self.weights)
        self._load = load
        self._lock = threading.Lock()
        self._live: TTLCache[str, str] = TTLCache(_MAX_TENANTS, LIVE_AGE_S, timer)
        self._versions: LRUCache[tuple[str, str], Version] = LRUCache(_MAX_TENANTS)

    def search(
        self,
        tenant_id: str,
        groups: Iterable[str],
        query: str,
        *,
        k: int,
        mode: Mode,
        filters: SearchFilters | None = None,
    ) -> list[Passage]:
        """The k best passages of the tenant that a member of the groups may read, best first, of any documents.

        Raises `NotFound` for a tenant without an index, `InvalidInput` for a wrong k or mode or for filters that the
        index cannot answer, `Unavailable`.
        """
        return self._reranked(query, k, self._found(tenant_id, groups, query, mode, filters))

    def search_documents(
        self,
        tenant_id: str,
        groups: Iterable[str],
        query: str,
        *,
        k: int,
        mode: Mode,
        filters: SearchFilters | None = None,
        per_document: int = 1,
        pages: Pages | None = None,
    ) -> list[Passage]:
        """The k best documents, each by its best passage; `more` holds up to `per_document` - 1 others.

        `pages`: leave out the documents of earlier pages. Errors as of `search`.
        """
        shown = pages or Pages(b"")
        find = self._found(tenant_id, groups, query, mode, filters)
        return self._reranked(
            query, k, lambda depth: best_documents(find, depth, per_document, shown.is_shown, len(shown.shown))
        )

    def gather(self, tenant_id: str, groups: Iterable[str], query: str) -> Gathered:
        """The candidates that a multi-hop search would score, to learn its weights from; errors as of `search`."""
        allowed = self._acl.allowed_keys(tenant_id, groups)

        def gather_live() -> Gathered:
            collection = self._live_collection(tenant_id)
            vector = self._embed(tenant_id, collection, query)
            return self._multihop.gather(tenant_id, allowed, query=query, vector=vector, collection=collection)

        return self._retry_if_superseded(tenant_id, gather_live)

    def best_mode(self, tenant_id: str) -> Mode:
        """`multihop` where the tenant's index can be searched by names, `hybrid` elsewhere.

        Raises `NotFound` for a tenant without an index, `Unavailable`.
        """
        try:
            self._reader.check_names(tenant_id, self._live_collection(tenant_id))
        except InvalidInput:
            return "hybrid"
        return "multihop"

    def idf(self, tenant_id: str, terms: Sequence[str]) -> dict[str, float]:
        """The inverse document frequency of each term in the tenant's chunks; empty where terms were not counted."""
        frequencies = self._frequencies.of(tenant_id)
        return frequencies.idf(terms) if frequencies.chunks else {}

    def corrections(self, tenant_id: str, words: Sequence[str]) -> dict[str, str]:
        """For each misspelt word the tenant's word that is meant; none where terms were not counted.

        `words`: folded, of the letters a to z alone.
        """
        frequencies = self._frequencies.of(tenant_id)
        return frequencies.corrections(words) if frequencies.chunks else {}

    def warm_up(self) -> None:
        """Load the model of new tenants, which most tenants use; their first question loads other models."""
        self._load(self._settings.embedding_model)
        if self._cross_encoder:
            load_reranker(self._cross_encoder)

    def close(self) -> None:
        """Close the connection to Milvus."""
        self._reader.close()

    def _reranked(self, query: str, k: int, find: Callable[[int], list[Passage]]) -> list[Passage]:
        """The k best of what `find` gives; with a cross-encoder, the best of more by its order."""
        if not self._cross_encoder:
            return find(k)
        return load_reranker(self._cross_encoder).best(query, find(max(k, RERANKED)), k)

    def _found(
        self, tenant_id: str, groups: Iterable[str], query: str, mode: Mode, filters: SearchFilters | None
    ) -> Callable[[int], list[Passage]]:
        """A function that gives so many of the best passages; the question is embedded once."""
        allowed = self._acl.allowed_keys(tenant_id, groups)
        vectors: dict[str, np.ndarray] = {}

        def search_live(k: int) -> list[Passage]:
            collection = self._live_collection(tenant_id)
            if mode != "lexical" and collection not in vectors:
                vectors[collection] = self._embed(tenant_id, collection, query)
            if mode == "multihop":
                return self._multihop.search(
                    tenant_id,
                    allowed,
                    query=query,
                    vector=vectors[collection],
                    k=k,
                    collection=collection,
                    filters=filters,
                )
            return self._reader.search(
                tenant_id,
                allowed,
                query=query,
                vector=vectors.get(collection),
                mode=mode,
                k=k,
                collection=collection,
                filters=filters,
            )

        return lambda k: self._retry_if_superseded(tenant_id, lambda: search_live(k))

    def _embed(self, tenant_id: str, collection: str, query: str) -> np.ndarray:
        """The question (dimension,) as the collection's model embeds it."""
        return self._load(self._version(tenant_id, collection).embedding_model).encode([query])[0]

    def _retry_if_superseded[T](self, tenant_id: str, search: Callable[[], T]) -> T:
        """The result of `search`, repeated on the live collection if the collection was dropped meanwhile."""
        try:
            return search()
        except Superseded:
            with self._lock:
                self._live.pop(tenant_id, None)
            return search()

    @cachedmethod(lambda self: self._live, key=lambda _, tenant_id: tenant_id, lock=lambda self: self._lock)
    def _live_collection(self, tenant_id: str) -> str:
        collection = self._reader.live_collection(tenant_id)
        if collection is None:
            raise no_tenant(tenant_id)
        return collection

    @cachedmethod(lambda self: self._versions, lock=lambda self: self._lock)
    def _version(self, tenant_id: str, collection: str) -> Version:
        """The collection's version, whose embedding model and layout never change."""
        version = recorded_version(self._settings, tenant_id, collection)
        if not version.is_current:
            log.warning(
                "tenant %s: %s was built by an earlier release, so searches by words may miss some. The next ingest "
                "builds it again, or run `lakehop reindex --embedding-model %s --tenant %s` now.",
                *(tenant_id, collection, version.embedding_model, tenant_id),
            )
        return version
