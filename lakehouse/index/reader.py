"""Searches a tenant's chunks in Milvus, by vector, by words or by both, for callers with permission.

Every search carries the filter of `lakehouse.index.permission_filter`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pymilvus import AnnSearchRequest, RRFRanker
from pymilvus.exceptions import MilvusException

from lakehouse.errors import InvalidInput, NotFound, Unavailable
from lakehouse.index.collections import Collections
from lakehouse.index.layout import NAMES, alias_name
from lakehouse.index.lexical import LEAST_FUSED, RRF_K, fuse, ties_by_words
from lakehouse.index.lexical_fallback import LexicalIndexes
from lakehouse.index.passages import EngineMode, Passage
from lakehouse.index.permission_filter import (
    any_of,
    chunk_id_range,
    document_filters,
    tenant_chunks,
)
from lakehouse.index.rows import (
    CANDIDATE_COLUMNS,
    SEARCH_COLUMNS,
    StoredPassage,
    index_text,
    to_passage,
    to_stored_passage,
)
from lakehouse.index.search_filters import SearchFilters
from lakehouse.index.search_request import SearchRequest, check_search, numbers
from lakehouse.index.server import JOB_TIMEOUT_S, Capabilities, Server
from lakehouse.text.name_keys import sparse
from lakehouse.text.search_text import search_text

MAX_MATCHES = 1_000_000
READ_BATCH = 1000
_FILTER_BATCH = 500
_LEAST_NAME_SCORE = 1e-5


class Superseded(Unavailable):
    """The collection was dropped after another collection had gone live: search that one."""


class Reader:
    """Reads the chunks of all tenants; blocking, safe to share between threads.

    Every method raises `Unavailable` when Milvus does not answer within `milvus_timeout_s` or refuses the call.
    """

    def __init__(self, server: Server, collections: Collections) -> None:
        self._server = server
        self._collections = collections
        self._lexical_indexes = LexicalIndexes()

    @property
    def capabilities(self) -> Capabilities:
        """What the connected server can do."""
        return self._server.capabilities

    def close(self) -> None:
        """Close the connection to the server."""
        self._server.close()

    def live_collection(self, tenant_id: str) -> str | None:
        """The collection that the tenant's searches read; None while the tenant has no live collection."""
        return self._collections.live(tenant_id)

    def search(
        self,
        tenant_id: str,
        allowed_keys: Sequence[str],
        *,
        query: str,
        vector: np.ndarray | None,
        mode: EngineMode,
        k: int,
        collection: str | None = None,
        filters: SearchFilters | None = None,
    ) -> list[Passage]:
        """The tenant's k best passages among those whose `acl_key` is allowed and that meet the filters, best first.

        `vector` (dimension,) is the embedded query; a lexical search needs none. `collection` None: the live one. No
        allowed key: no passages, without a call. Raises `NotFound` for a tenant without a live collection,
        `InvalidInput` for a wrong k or mode, or for filters that the collection cannot answer.
        """
        check_search(tenant_id, mode, vector, k)
        self._check_filters(tenant_id, collection, filters)
        words = search_text(query)
        request = SearchRequest(tenant_id, tuple(allowed_keys), words, numbers(vector), k, collection, filters)
        if not allowed_keys or (mode == "lexical" and not words):
            return []
        if mode == "dense" or not words:
            return self._dense(request, k)
        if self.capabilities.bm25:
            return self._lexical(request) if mode == "lexical" else self._hybrid(request)
        by_words = self._lexical_in_memory(request)
        if mode == "lexical":
            return by_words[:k]
        return _words_first(words, _fused([self._dense(request, request.depth), by_words], max(k, LEAST_FUSED)))[:k]

    def candidates(
        self,
        tenant_id: str,
        allowed_keys: Sequence[str],
        *,
        query: str,
        vector: np.ndarray,
        k: int,
        collection: str,
        filters: SearchFilters | None = None,
    ) -> list[StoredPassage]:
        """As a hybrid `search`, with the names and vectors of the passages."""
        self._check_filters(tenant_id, collection, filters)
        words = search_text(query)
        request = SearchRequest(tenant_id, tuple(allowed_keys), words, numbers(vector), k, collection, filters)
        return [to_stored_passage(match) for match in self._hybrid_matches(request, CANDIDATE_COLUMNS)]

    def candidates_by_names(
        self,
        tenant_id: str,
        allowed_keys: Sequence[str],
        *,
        wanted: Mapping[str, float],
        k: int,
        collection: str,
        filters: SearchFilters | None = None,
    ) -> list[StoredPassage]:
        """The k passages with the highest sum of weights of these names (keys of `lakehouse.text.name_keys`)."""
        request = SearchRequest(tenant_id, tuple(allowed_keys), "", [], k, collection, filters)
        matches = self._search(request, NAMES, sparse(dict(wanted)), k, CANDIDATE_COLUMNS)
        # every passage has some score, because all passages share one key
        return [to_stored_passage(match) for match in matches if match["distance"] > _LEAST_NAME_SCORE]

    def check_names(self, tenant_id: str, collection: str) -> None:
        """`InvalidInput` where the server or the collection cannot be searched by names."""
        if not self.capabilities.bm25:
            raise InvalidInput(
                f"mode='multihop': needs Milvus 2.5 or newer, and this is {self.capabilities.version!r}. "
                "Search by mode 'hybrid', or upgrade Milvus."
            )
        if not self._collections.has_names(collection):
            raise InvalidInput(
                f"mode='multihop': collection {collection!r} was built by an older version, without names. "
                f"Run `lakehop reindex --embedding-model MODEL --tenant {tenant_id}` with its present model."
            )

    def count(self, tenant_id: str, collection: str | None = None) -> int:
        """The number of chunks in a collection. None: the live one; `NotFound` when the tenant has none."""
        rows = self._read(
            tenant_id,
            collection,
            "query",
            filter=tenant_chunks(tenant_id),
            output_fields=["count(*)"],
            consistency_level="Strong",
            timeout_s=JOB_TIMEOUT_S,
        )
        return int(rows[0]["count(*)"])

    def count_documents(self, tenant_id: str, source: str | None, doc_ids: Sequence[str]) -> int:
        """The number of chunks of these documents in all of the tenant's collections, live or not.

        No `doc_ids`: of all documents; `source` None: of any source.
        """
        count = 0
        for collection in self._collections.versions(tenant_id):
            self._server.job("load_collection", collection)
            for document_filter in document_filters(tenant_id, source, doc_ids, _FILTER_BATCH):
                rows = self._server.job(
                    "query", collection, filter=document_filter, output_fields=["count(*)"], consistency_level="Strong"
                )
                count += int(rows[0]["count(*)"])
        return count

    def rows(self, collection: str, columns: Sequence[str], first: str, end: str) -> Iterator[dict[str, Any]]:
        """Rows with `first` <= chunk_id < `end`, up to the last write, in no order; `end` empty: no upper bound."""
        pages = self._server.job(
            "query_iterator",
            collection,
            batch_size=READ_BATCH,
            filter=chunk_id_range(first, end),
            output_fields=list(columns),
            consistency_level="Strong",
        )
        return self._server.rows(pages)

    def _check_filters(self, tenant_id: str, collection: str | None, filters: SearchFilters | None) -> None:
        wanted = set(filters.columns) if filters else set()
        if wanted and collection and (missing := wanted - self._collections.columns(collection)):
            raise InvalidInput(
                f"filters: collection {collection!r} was built by an earlier release, without {sorted(missing)}. Leave "
                f"out that filter, or ingest again: the next ingest of tenant {tenant_id!r} builds it anew."
            )

    def _present(self, collection: str | None, columns: Sequence[str]) -> list[str]:
        """The columns that the collection has; a collection of an earlier release lacks some."""
        present = self._collections.columns(collection) if collection else columns
        return [name for name in columns if name in present]

    def _dense(self, request: SearchRequest, limit: int) -> list[Passage]:
        matches = self._search(request, "vector", request.vector, limit)
        return [to_passage(match["entity"], match["distance"]) for match in matches]

    def _lexical(self, request: SearchRequest) -> list[Passage]:
        matches = self._search(request, "terms", request.words, request.k)
        # milvus-lite returns the score as a distance: below zero
        return [to_passage(match["entity"], abs(match["distance"])) for match in matches]

    def _hybrid(self, request: SearchRequest) -> list[Passage]:
        matches = self._hybrid_matches(replace(request, k=max(request.k, LEAST_FUSED)), SEARCH_COLUMNS)
        passages = [to_passage(match["entity"], match["distance"]) for match in matches]
        return _words_first(request.words, passages)[: request.k]

    def _search(
        self, request: SearchRequest, column: str, data: Any, limit: int, columns: Sequence[str] = SEARCH_COLUMNS
    ) -> Sequence[Mapping[str, Any]]:
        matches: Sequence[Sequence[Mapping[str, Any]]] = self._read(
            request.tenant_id,
            request.collection,
            "search",
            data=[data],
            anns_field=column,
            filter=request.readable,
            limit=limit,
            output_fields=self._present(request.collection, columns),
        )
        return matches[0]

    def _hybrid_matches(self, request: SearchRequest, columns: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        depth, readable = request.depth, request.readable
        searches = [
            AnnSearchRequest([request.vector], "vector", {"metric_type": "COSINE"}, depth, expr=readable),
            AnnSearchRequest([request.words], "terms", {"metric_type": "BM25"}, depth, expr=readable),
        ]
        matches: Sequence[Sequence[Mapping[str, Any]]] = self._read(
            request.tenant_id,
            request.collection,
            "hybrid_search",
            searches,
            RRFRanker(RRF_K),
            limit=request.k,
            output_fields=self._present(request.collection, columns),
        )
        return matches[0]

    def _lexical_in_memory(self, request: SearchRequest) -> list[Passage]:
        tenant_id, collection = request.tenant_id, request.collection or self._collections.live(request.tenant_id)
        if collection is None:
            raise no_tenant(tenant_id)
        # Every write adds to this count, also a write that replaces a row. Deleted rows drop out of the query below.
        write_count = int(self._read(tenant_id, collection, "get_collection_stats")["row_count"])
        index = self._lexical_indexes.get(collection, write_count, lambda: self._texts(tenant_id, collection))
        if request.filters:  # the index in memory knows no filters, so the best of all would be too few
            every = index.search(request.words, request.allowed_keys, MAX_MATCHES)
            matching = self._matching(request, collection)
            scores = dict([match for match in every if match[0] in matching][: request.depth])
        else:
            scores = dict(index.search(request.words, request.allowed_keys, request.depth))
        if not scores:
            return []
        # The index in memory may be a moment old: the server filters by the permissions of now.
        rows = self._read(
            tenant_id,
            collection,
            "query",
            filter=f"{request.readable} and {any_of('chunk_id', scores)}",
            output_fields=self._present(collection, SEARCH_COLUMNS),
        )
        readable = {row["chunk_id"]: row for row in rows}
        return [to_passage(readable[chunk_id], score) for chunk_id, score in scores.items() if chunk_id in readable]

    def _matching(self, request: SearchRequest, collection: str) -> set[str]:
        """Ids of all chunks that the caller may read and that meet the filters."""
        pages = self._read(
            request.tenant_id,
            collection,
            "query_iterator",
            batch_size=READ_BATCH,
            filter=request.readable,
            output_fields=["chunk_id"],
        )
        return {row["chunk_id"] for row in self._server.rows(pages)}

    def _texts(self, tenant_id: str, collection: str) -> Iterator[tuple[str, str, str]]:
        """Chunk id, `acl_key` and text of each of the tenant's chunks."""
        pages = self._read(
            tenant_id,
            collection,
            "query_iterator",
            batch_size=READ_BATCH,
            filter=tenant_chunks(tenant_id),
            output_fields=["chunk_id", "acl_key", "title", "heading", "text"],
        )
        for row in self._server.rows(pages):
            yield row["chunk_id"], row["acl_key"], index_text(row["title"], row["heading"], row["text"])

    def _read(self, tenant_id: str, collection: str | None, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method on a collection of the tenant, None: on the collection behind its alias.

        When the server refuses, a collection that a restart left unloaded is loaded, and the call is repeated.
        """
        name = collection or alias_name(tenant_id)
        try:
            return self._server.attempt(method, name, *args, **kwargs)
        except MilvusException as error:
            live = self._collections.live(tenant_id)
            if live is None:
                raise no_tenant(tenant_id) from error
            if collection and collection not in self._collections.versions(tenant_id):
                raise Superseded(
                    "milvus", f"collection {collection!r} is gone; {live!r} is live. Ask again."
                ) from error
        self._collections.ensure_loaded(name)
        # repeated for a loaded collection too: the alias may just have moved
        return self._server.call(method, name, *args, **kwargs)


def no_tenant(tenant_id: str) -> NotFound:
    """The error for a tenant without a live collection."""
    return NotFound(
        f"tenant {tenant_id!r}: nothing of it is indexed. Run `lakehop ingest PATH --tenant {tenant_id}` first."
    )


def _words_first(words: str, passages: Sequence[Passage]) -> list[Passage]:
    """The passages by score; of equal scores those first that hold more of the words asked for."""
    texts = [index_text(passage.title, passage.heading, passage.text) for passage in passages]
    order = ties_by_words(words, [passage.score for passage in passages], texts)
    return [passages[place] for place in order]


def _fused(rankings: Sequence[Sequence[Passage]], k: int) -> list[Passage]:
    """The first k passages of several rankings, by reciprocal rank fusion."""
    passages = {passage.chunk_id: passage for ranking in rankings for passage in ranking}
    best = fuse([[passage.chunk_id for passage in ranking] for ranking in rankings], k)
    return [replace(passages[chunk_id], score=score) for chunk_id, score in best]
