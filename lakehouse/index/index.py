"""Chunks in Milvus: a collection a tenant, searched by vector, by words, or both, by those who may.

A tenant's live collection stands behind an alias, so that a new embedding model is built beside it and goes live in
one step. Whatever the mode, a search filters by tenant and by the keys that the caller may read, inside the engine:
a forbidden chunk is neither returned nor does it push an allowed one out.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from pymilvus import AnnSearchRequest, RRFRanker
from pymilvus.client.types import LoadState
from pymilvus.exceptions import MilvusException

from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput, NotFound, Unavailable
from lakehouse.index.layout import (
    FOR_MULTIHOP,
    NAMES,
    PREFIX,
    IndexRow,
    alias_name,
    collection_name,
    index_text,
    layout,
    stored,
    version_of,
)
from lakehouse.index.lexical import FUSION_DEPTH, RRF_K, LexicalIndex
from lakehouse.index.passages import FOUND_COLUMNS, INDEXED_COLUMNS, Indexed, Passage, fused, indexed, passage
from lakehouse.index.server import Capabilities, Server, literal, literals
from lakehouse.settings import Settings
from lakehouse.text.name_keys import sparse

__all__ = ["EngineMode", "Index", "IndexRow", "Mode", "Passage", "Superseded"]

Mode = Literal["dense", "lexical", "hybrid", "multihop"]
EngineMode = Literal["dense", "lexical", "hybrid"]
"""Those that are one call of the engine; `lakehouse.retrieval.multihop.search` is several."""
MAX_K = 1000
WRITE_BATCH = 500  # larger ones gain nothing on milvus-lite, and a cluster takes 64 MB at most
READ_BATCH = 1000
JOB_TIMEOUT_S = 600.0  # flushing, building and loading take as long as the collection is large
LEXICAL_INDEXES = 16  # tenants whose words are kept in memory, where Milvus has no BM25
_NO_SUCH_ALIAS = (100, 1600)  # milvus-lite's code, and Milvus's
_NO_NAME = 1e-5
T = TypeVar("T")


class Superseded(Unavailable):
    """The collection was dropped after another one had gone live: read that one."""


@dataclass(frozen=True)
class _Query:
    """A checked search: whose, for which words and vector, how many, and the filter that stands for its rights."""

    tenant_id: str
    allowed_keys: tuple[str, ...]
    words: str
    vector: list[float]
    k: int
    collection: str | None

    @property
    def readable(self) -> str:
        return f"tenant_id == {literal(self.tenant_id)} and acl_key in {literals(self.allowed_keys)}"

    @property
    def depth(self) -> int:
        return max(self.k, FUSION_DEPTH)


class Index:
    """The chunks of all tenants; blocking, safe to share between threads.

    Every method raises `Unavailable` when Milvus does not answer within `milvus_timeout_s`, or refuses the call.
    """

    def __init__(self, settings: Settings) -> None:
        self._server = Server(settings)
        self._lexical: OrderedDict[str, tuple[int, LexicalIndex]] = OrderedDict()
        self._lexical_lock = threading.Lock()
        self._known_columns: dict[str, frozenset[str]] = {}

    @property
    def capabilities(self) -> Capabilities:
        """What the connected server can do."""
        return self._server.capabilities

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    # Building: one writer a tenant, for milvus-lite loses rows when several write and it is killed.

    def live_collection(self, tenant_id: str) -> str | None:
        """The collection that the tenant's searches read; None when there is none."""
        try:
            return str(self._server.call("describe_alias", alias_name(tenant_id))["collection_name"])
        except MilvusException as error:
            if error.code in _NO_SUCH_ALIAS:
                return None
            raise self._server.refused(error) from error

    def create_collection(self, tenant_id: str, dimension: int, after: int = 0) -> str:
        """Create the tenant's next collection, empty and not live, with a number above `after`; return its name."""
        name = collection_name(tenant_id, max([after, *self.collections(tenant_id).values()]) + 1)
        schema, indexes = layout(self.capabilities, dimension)
        self._job("create_collection", name, schema=schema, index_params=indexes, consistency_level="Bounded")
        return name

    def upsert(self, collection: str, rows: Iterable[IndexRow]) -> int:
        """Write chunks, each in place of the one with its `chunk_id`; return how many.

        They show at any moment from now, and for certain after `publish`. `InvalidInput` for an impossible id.
        """
        written, columns = 0, self._columns(collection)
        for batch in _batches(rows, WRITE_BATCH):
            self._job("upsert", collection, [stored(row, columns) for row in batch])
            written += len(batch)
        return written

    def delete(self, collection: str, chunk_ids: Iterable[str]) -> int:
        """Remove chunks; return how many were named, for the server does not say which of them existed."""
        named = 0
        for batch in _batches(chunk_ids, WRITE_BATCH):
            self._job("delete", collection, filter=f"chunk_id in {literals(batch)}")
            named += len(batch)
        return named

    def publish(self, tenant_id: str, collection: str) -> None:
        """Make a collection the tenant's live one, after `settle`; the one before stays, to be returned to.

        On the live collection it settles only. `InvalidInput` for another tenant's collection.
        """
        self._check_owner(tenant_id, collection)
        self.settle(collection)
        live = self.live_collection(tenant_id)
        if live != collection:
            self._call("alter_alias" if live else "create_alias", collection, alias_name(tenant_id))

    def has_names(self, collection: str) -> bool:
        """Whether a collection holds what multi-hop search needs; one made by an older version does not."""
        return self._columns(collection) >= FOR_MULTIHOP

    def settle(self, collection: str) -> None:
        """Make what was written durable and searchable: flush, load, and a first search by each way."""
        self._job("flush", collection)
        self._job("load_collection", collection)
        self._probe(collection)

    def drop_collection(self, tenant_id: str, collection: str) -> None:
        """Remove a collection that is not live. `InvalidInput` for the live one and for another tenant's."""
        self._check_owner(tenant_id, collection)
        if collection == self.live_collection(tenant_id):
            raise InvalidInput(f"collection {collection!r} is live. Publish another one of the tenant first.")
        self._call("drop_collection", collection)

    def drop_tenant(self, tenant_id: str) -> None:
        """Remove everything of a tenant; nothing to remove is no error."""
        if self.live_collection(tenant_id):
            self._call("drop_alias", alias_name(tenant_id))
        for name in self.collections(tenant_id):
            self._call("drop_collection", name)

    def collections(self, tenant_id: str) -> dict[str, int]:
        """The tenant's collections and their numbers, live or not."""
        names = (name for name in self._call("list_collections") if name.startswith(PREFIX))
        numbers = {name: version_of(tenant_id, name) for name in names}
        return {name: number for name, number in numbers.items() if number is not None}

    def rows(self, collection: str, columns: Sequence[str], first: str, end: str) -> Iterator[dict[str, Any]]:
        """Rows with `first` <= chunk_id < `end`, up to the last write, in no order; `end` empty: no upper bound."""
        below = f" and chunk_id < {literal(end)}" if end else ""
        pages = self._job(
            "query_iterator",
            collection,
            batch_size=READ_BATCH,
            filter=f"chunk_id >= {literal(first)}{below}",
            output_fields=list(columns),
            consistency_level="Strong",
        )
        return self._server.rows(pages)

    def delete_documents(self, tenant_id: str, source: str | None, doc_ids: Sequence[str]) -> None:
        """Remove all chunks of these documents (none: of all) of a source (None: of any), live or not."""
        for collection in self.collections(tenant_id):
            self._job("load_collection", collection)  # Milvus deletes by a filter in loaded collections only
            for documents in _document_filters(tenant_id, source, doc_ids):
                self._job("delete", collection, filter=documents)
            self._job("flush", collection)

    def count_documents(self, tenant_id: str, source: str | None, doc_ids: Sequence[str]) -> int:
        """How many chunks of these documents any collection of the tenant holds, live or not; as `delete_documents`."""
        count = 0
        for collection in self.collections(tenant_id):
            self._job("load_collection", collection)
            for documents in _document_filters(tenant_id, source, doc_ids):
                answer = self._job(
                    "query", collection, filter=documents, output_fields=["count(*)"], consistency_level="Strong"
                )
                count += int(answer[0]["count(*)"])
        return count

    # Reading

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

        `vector` (dimension,) is the embedded query; a lexical search needs none. `collection` None: the live one.
        No allowed key: nothing, without a call. Raises `NotFound` for a tenant that has no live collection,
        `InvalidInput` for a wrong k or mode.
        """
        _check_search(tenant_id, mode, vector, k)
        numbers = [] if vector is None else np.asarray(vector, dtype=np.float32).tolist()
        asked = _Query(tenant_id, tuple(allowed_keys), query, numbers, k, collection)
        if not allowed_keys or (mode == "lexical" and not query.strip()):
            return []
        if mode == "dense" or not query.strip():
            return self._dense(asked, k)
        if self.capabilities.bm25:
            return self._lexical_by_server(asked) if mode == "lexical" else self._hybrid_by_server(asked)
        by_words = self._lexical_by_library(asked)
        return by_words[:k] if mode == "lexical" else fused([self._dense(asked, asked.depth), by_words], k)

    def candidates(
        self, tenant_id: str, allowed_keys: Sequence[str], *, query: str, vector: np.ndarray, k: int, collection: str
    ) -> list[Indexed]:
        """As a hybrid `search`, with what is stored beside the passages."""
        asked = _Query(
            tenant_id, tuple(allowed_keys), query, np.asarray(vector, dtype=np.float32).tolist(), k, collection
        )
        return [indexed(one) for one in self._hybrid_rows(asked, INDEXED_COLUMNS)]

    def candidates_by_names(
        self, tenant_id: str, allowed_keys: Sequence[str], *, wanted: Mapping[str, float], k: int, collection: str
    ) -> list[Indexed]:
        """The k passages with the highest sum of weights of these names (keys of `lakehouse.text.name_keys`)."""
        asked = _Query(tenant_id, tuple(allowed_keys), "", [], k, collection)
        found = self._read(
            tenant_id,
            collection,
            "search",
            data=[sparse(dict(wanted))],
            anns_field=NAMES,
            filter=asked.readable,
            limit=k,
            output_fields=INDEXED_COLUMNS,
        )
        # every passage has some weight: that of the key that all of them hold
        return [indexed(one) for one in found[0] if one["distance"] > _NO_NAME]

    def check_names(self, tenant_id: str, collection: str) -> None:
        """`InvalidInput` where the server or the collection cannot be searched by names."""
        if not self.capabilities.bm25:
            raise InvalidInput(
                f"mode='multihop': needs Milvus 2.5 or newer, and this is {self.capabilities.version!r}. "
                "Search by mode 'hybrid', or upgrade Milvus."
            )
        if not self.has_names(collection):
            raise InvalidInput(
                f"mode='multihop': collection {collection!r} lacks what an older version did not index. "
                f"Run `lakehop reindex --embedding-model MODEL --tenant {tenant_id}` with the model that it has."
            )

    def count(self, tenant_id: str, collection: str | None = None) -> int:
        """How many chunks the collection holds, None: the live one; `NotFound` when there is none."""
        answer = self._read(
            tenant_id,
            collection,
            "query",
            filter=f"tenant_id == {literal(tenant_id)}",
            output_fields=["count(*)"],
            consistency_level="Strong",
            timeout_s=JOB_TIMEOUT_S,
        )
        return int(answer[0]["count(*)"])

    def _dense(self, asked: _Query, limit: int) -> list[Passage]:
        found = self._read(
            asked.tenant_id,
            asked.collection,
            "search",
            data=[asked.vector],
            anns_field="vector",
            filter=asked.readable,
            limit=limit,
            output_fields=FOUND_COLUMNS,
        )
        return [passage(one["entity"], one["distance"]) for one in found[0]]

    def _lexical_by_server(self, asked: _Query) -> list[Passage]:
        found = self._read(
            asked.tenant_id,
            asked.collection,
            "search",
            data=[asked.words],
            anns_field="terms",
            filter=asked.readable,
            limit=asked.k,
            output_fields=FOUND_COLUMNS,
        )
        # milvus-lite gives the score as a distance: below zero
        return [passage(one["entity"], abs(one["distance"])) for one in found[0]]

    def _hybrid_by_server(self, asked: _Query) -> list[Passage]:
        return [passage(one["entity"], one["distance"]) for one in self._hybrid_rows(asked, FOUND_COLUMNS)]

    def _hybrid_rows(self, asked: _Query, columns: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        legs = [
            AnnSearchRequest([asked.vector], "vector", {"metric_type": "COSINE"}, asked.depth, expr=asked.readable),
            AnnSearchRequest([asked.words], "terms", {"metric_type": "BM25"}, asked.depth, expr=asked.readable),
        ]
        found: Sequence[Sequence[Mapping[str, Any]]] = self._read(
            asked.tenant_id,
            asked.collection,
            "hybrid_search",
            legs,
            RRFRanker(RRF_K),
            limit=asked.k,
            output_fields=list(columns),
        )
        return found[0]

    def _lexical_by_library(self, asked: _Query) -> list[Passage]:
        scores = dict(self._lexical_index(asked).search(asked.words, asked.allowed_keys, asked.depth))
        if not scores:
            return []
        # The words may be a moment old; whether they may be read is the server's to say, now.
        rows = self._read(
            asked.tenant_id,
            asked.collection,
            "query",
            filter=f"{asked.readable} and chunk_id in {literals(scores)}",
            output_fields=FOUND_COLUMNS,
        )
        readable = {row["chunk_id"]: row for row in rows}
        return [passage(readable[one], score) for one, score in scores.items() if one in readable]

    def _lexical_index(self, asked: _Query) -> LexicalIndex:
        """The words of the tenant's live collection, read again after it changed."""
        collection = asked.collection or self.live_collection(asked.tenant_id)
        if collection is None:
            raise no_tenant(asked.tenant_id)
        # Every write adds to this count, replacing ones too; deleted rows are caught when passages are fetched.
        written = int(self._read(asked.tenant_id, collection, "get_collection_stats")["row_count"])
        with self._lexical_lock:
            known = self._lexical.get(collection)
            if known is None or known[0] != written:
                known = (written, LexicalIndex(list(self._words(asked))))
                self._lexical[collection] = known
            self._lexical.move_to_end(collection)
            while len(self._lexical) > LEXICAL_INDEXES:
                self._lexical.popitem(last=False)
        return known[1]

    def _words(self, asked: _Query) -> Iterator[tuple[str, str, str]]:
        columns = ["chunk_id", "acl_key", "title", "heading", "text"]
        pages = self._read(
            asked.tenant_id,
            asked.collection,
            "query_iterator",
            batch_size=READ_BATCH,
            filter=f"tenant_id == {literal(asked.tenant_id)}",
            output_fields=columns,
        )
        for row in self._server.rows(pages):
            yield row["chunk_id"], row["acl_key"], index_text(row["title"], row["heading"], row["text"])

    # Calls

    def _check_owner(self, tenant_id: str, collection: str) -> None:
        known = self.collections(tenant_id)
        if collection not in known:
            raise InvalidInput(
                f"collection {collection!r}: tenant {tenant_id!r} has {sorted(known)}. "
                "Name one that `create_collection` gave for this tenant."
            )

    def _columns(self, collection: str) -> frozenset[str]:
        """Names of a collection's columns, which never change."""
        if collection not in self._known_columns:
            described = self._call("describe_collection", collection)
            self._known_columns[collection] = frozenset(field["name"] for field in described["fields"])
        return self._known_columns[collection]

    def _probe(self, collection: str) -> None:
        """Search once by each way, up to the last write, which also builds what the server builds at first use."""
        fields = self._call("describe_collection", collection)["fields"]
        columns = {field["name"]: field for field in fields}
        probes: list[tuple[str, Any]] = [("vector", [1.0] * columns["vector"]["params"]["dim"])]
        if "terms" in columns:
            probes.append(("terms", "probe"))
        if NAMES in columns:
            probes.append((NAMES, sparse({})))
        for column, data in probes:
            self._job("search", collection, data=[data], anns_field=column, limit=1, consistency_level="Strong")

    def _read(self, tenant_id: str, collection: str | None, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method on a collection of the tenant's, None: what its alias points at.

        A collection that a restart left unloaded is loaded, and the call repeated.
        """
        name = collection or alias_name(tenant_id)
        try:
            return self._server.call(method, name, *args, **kwargs)
        except MilvusException as error:
            live = self.live_collection(tenant_id)
            if live is None:
                raise no_tenant(tenant_id) from error
            if collection and collection not in self.collections(tenant_id):
                raise Superseded(
                    "milvus", f"collection {collection!r} is gone; {live!r} is live. Ask again."
                ) from error
        if self._call("get_load_state", name)["state"] != LoadState.Loaded:
            self._call("load_collection", name)
        # again where it was loaded too: the alias may just have moved
        return self._call(method, name, *args, **kwargs)

    def _job(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method that may take as long as the collection is large."""
        return self._call(method, *args, timeout_s=JOB_TIMEOUT_S, **kwargs)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._server.call(method, *args, **kwargs)
        except MilvusException as error:
            raise self._server.refused(error) from error


def _check_search(tenant_id: str, mode: str, vector: np.ndarray | None, k: int) -> None:
    check_tenant(tenant_id)
    if mode not in get_args(EngineMode):
        raise InvalidInput(f"mode={mode!r}: must be one of {', '.join(get_args(EngineMode))}. Choose one of them.")
    if not 1 <= k <= MAX_K:
        raise InvalidInput(f"k={k!r}: must be 1 to {MAX_K}. Ask for fewer passages, or split the question.")
    if vector is None and mode != "lexical":
        raise InvalidInput(f"mode={mode!r}: needs the embedded query. Pass `vector`, or search by mode 'lexical'.")


def _document_filters(tenant_id: str, source: str | None, doc_ids: Sequence[str]) -> Iterator[str]:
    whose = f"tenant_id == {literal(tenant_id)}"
    if source is not None:
        whose += f" and source == {literal(source)}"
    if not doc_ids:
        yield whose
    for batch in _batches(doc_ids, WRITE_BATCH):
        yield f"{whose} and doc_id in {literals(batch)}"


def no_tenant(tenant_id: str) -> NotFound:
    """The error for a tenant that has nothing to search."""
    return NotFound(
        f"tenant {tenant_id!r}: nothing of it is indexed. Run `lakehop ingest PATH --tenant {tenant_id}` first."
    )


def _batches[T](items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
