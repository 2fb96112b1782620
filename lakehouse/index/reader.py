"""Searches a tenant's chunks in Milvus, by vector, by words or by both, for callers with permission.

Every search carries the filter of `lakehouse.index.permission_filter`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
from pymilvus import AnnSearchRequest, RRFRanker
from pymilvus.exceptions import MilvusException

from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput, NotFound, Unavailable
from lakehouse.index.collections import Collections
from lakehouse.index.layout import NAMES, alias_name
from lakehouse.index.lexical import FUSION_DEPTH, RRF_K, fuse
from lakehouse.index.lexical_fallback import LexicalIndexes
from lakehouse.index.passages import EngineMode, Passage
from lakehouse.index.permission_filter import (
    any_of,
    chunk_id_range,
    document_filters,
    readable_chunks,
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
from lakehouse.index.server import JOB_TIMEOUT_S, Capabilities, Server
from lakehouse.text.name_keys import sparse

MAX_K = 1000
READ_BATCH = 1000
_FILTER_BATCH = 500
_LEAST_NAME_SCORE = 1e-5


class Superseded(Unavailable):
    """The collection was dropped after another collection had gone live: search that one."""


@dataclass(frozen=True)
class _Request:
    """A checked search by one caller. `collection` None: the live collection."""

    tenant_id: str
    allowed_keys: tuple[str, ...]
    words: str
    vector: list[float]
    k: int
    collection: str | None

    @property
    def readable(self) -> str:
        return readable_chunks(self.tenant_id, self.allowed_keys)

    @property
    def depth(self) -> int:
        return max(self.k, FUSION_DEPTH)


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
    ) -> list[Passage]:
        """The tenant's k best passages among those whose `acl_key` is allowed, best first.

        `vector` (dimension,) is the embedded query; a lexical search needs none. `collection` None: the live one. No
        allowed key: no passages, without a call. Raises `NotFound` for a tenant without a live collection,
        `InvalidInput` for a wrong k or mode.
        """
        _check_search(tenant_id, mode, vector, k)
        request = _Request(tenant_id, tuple(allowed_keys), query, _numbers(vector), k, collection)
        if not allowed_keys or (mode == "lexical" and not query.strip()):
            return []
        if mode == "dense" or not query.strip():
            return self._dense(request, k)
        if self.capabilities.bm25:
            return self._lexical(request) if mode == "lexical" else self._hybrid(request)
        by_words = self._lexical_in_memory(request)
        return by_words[:k] if mode == "lexical" else _fused([self._dense(request, request.depth), by_words], k)

    def candidates(
        self, tenant_id: str, allowed_keys: Sequence[str], *, query: str, vector: np.ndarray, k: int, collection: str
    ) -> list[StoredPassage]:
        """As a hybrid `search`, with the names and vectors of the passages."""
        request = _Request(tenant_id, tuple(allowed_keys), query, _numbers(vector), k, collection)
        return [to_stored_passage(match) for match in self._hybrid_matches(request, CANDIDATE_COLUMNS)]

    def candidates_by_names(
        self, tenant_id: str, allowed_keys: Sequence[str], *, wanted: Mapping[str, float], k: int, collection: str
    ) -> list[StoredPassage]:
        """The k passages with the highest sum of weights of these names (keys of `lakehouse.text.name_keys`)."""
        request = _Request(tenant_id, tuple(allowed_keys), "", [], k, collection)
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

    def _dense(self, request: _Request, limit: int) -> list[Passage]:
        matches = self._search(request, "vector", request.vector, limit)
        return [to_passage(match["entity"], match["distance"]) for match in matches]

    def _lexical(self, request: _Request) -> list[Passage]:
        matches = self._search(request, "terms", request.words, request.k)
        # milvus-lite returns the score as a distance: below zero
        return [to_passage(match["entity"], abs(match["distance"])) for match in matches]

    def _hybrid(self, request: _Request) -> list[Passage]:
        matches = self._hybrid_matches(request, SEARCH_COLUMNS)
        return [to_passage(match["entity"], match["distance"]) for match in matches]

    def _search(
        self, request: _Request, column: str, data: Any, limit: int, columns: Sequence[str] = SEARCH_COLUMNS
    ) -> Sequence[Mapping[str, Any]]:
        matches: Sequence[Sequence[Mapping[str, Any]]] = self._read(
            request.tenant_id,
            request.collection,
            "search",
            data=[data],
            anns_field=column,
            filter=request.readable,
            limit=limit,
            output_fields=list(columns),
        )
        return matches[0]

    def _hybrid_matches(self, request: _Request, columns: Sequence[str]) -> Sequence[Mapping[str, Any]]:
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
            output_fields=list(columns),
        )
        return matches[0]

    def _lexical_in_memory(self, request: _Request) -> list[Passage]:
        tenant_id, collection = request.tenant_id, request.collection or self._collections.live(request.tenant_id)
        if collection is None:
            raise no_tenant(tenant_id)
        # Every write adds to this count, also a write that replaces a row. Deleted rows drop out of the query below.
        write_count = int(self._read(tenant_id, collection, "get_collection_stats")["row_count"])
        index = self._lexical_indexes.get(collection, write_count, lambda: self._texts(tenant_id, collection))
        scores = dict(index.search(request.words, request.allowed_keys, request.depth))
        if not scores:
            return []
        # The index in memory may be a moment old: the server filters by the permissions of now.
        rows = self._read(
            tenant_id,
            collection,
            "query",
            filter=f"{request.readable} and {any_of('chunk_id', scores)}",
            output_fields=list(SEARCH_COLUMNS),
        )
        readable = {row["chunk_id"]: row for row in rows}
        return [to_passage(readable[chunk_id], score) for chunk_id, score in scores.items() if chunk_id in readable]

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


def _check_search(tenant_id: str, mode: str, vector: np.ndarray | None, k: int) -> None:
    check_tenant(tenant_id)
    if mode not in get_args(EngineMode):
        raise InvalidInput(f"mode={mode!r}: must be one of {', '.join(get_args(EngineMode))}. Choose one of them.")
    if not 1 <= k <= MAX_K:
        raise InvalidInput(f"k={k!r}: must be 1 to {MAX_K}. Ask for fewer passages, or split the question.")
    if vector is None and mode != "lexical":
        raise InvalidInput(f"mode={mode!r}: needs the embedded query. Pass `vector`, or search by mode 'lexical'.")


def _numbers(vector: np.ndarray | None) -> list[float]:
    return [] if vector is None else np.asarray(vector, dtype=np.float32).tolist()


def _fused(rankings: Sequence[Sequence[Passage]], k: int) -> list[Passage]:
    """The first k passages of several rankings, by reciprocal rank fusion."""
    passages = {passage.chunk_id: passage for ranking in rankings for passage in ranking}
    best = fuse([[passage.chunk_id for passage in ranking] for ranking in rankings], k)
    return [replace(passages[chunk_id], score=score) for chunk_id, score in best]
