"""A tenant's collections in Milvus and the alias to the live collection.

The live collection stands behind an alias: a new embedding model is built beside it and goes live in one step. One
process at a time writes to a tenant: milvus-lite loses rows when several write and it is killed.
"""

import threading
from typing import Any

from cachetools import LRUCache, cachedmethod
from pymilvus.client.types import LoadState
from pymilvus.exceptions import MilvusException

from lakehouse.errors import InvalidInput
from lakehouse.index.layout import (
    MULTIHOP_COLUMNS,
    NAMES,
    PREFIX,
    alias_name,
    collection_name,
    layout,
    version_of,
)
from lakehouse.index.server import Server
from lakehouse.text.name_keys import sparse

_NO_SUCH_ALIAS = (100, 1600)  # milvus-lite's code, and Milvus's
_MAX_DESCRIBED = 4_096


class Collections:
    """Creates, publishes and drops the collections of all tenants; safe to share between threads.

    Every method raises `Unavailable` when Milvus does not answer in time or refuses the call.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._described: LRUCache[str, frozenset[str]] = LRUCache(_MAX_DESCRIBED)
        self._lock = threading.Lock()

    def live(self, tenant_id: str) -> str | None:
        """The collection that the tenant's searches read; None while the tenant has no live collection."""
        try:
            return str(self._server.attempt("describe_alias", alias_name(tenant_id))["collection_name"])
        except MilvusException as error:
            if error.code in _NO_SUCH_ALIAS:
                return None
            raise self._server.refused(error) from error

    def versions(self, tenant_id: str) -> dict[str, int]:
        """Version numbers by collection name, of all collections of the tenant, live or not."""
        names = (name for name in self._server.call("list_collections") if name.startswith(PREFIX))
        numbers = {name: version_of(tenant_id, name) for name in names}
        return {name: number for name, number in numbers.items() if number is not None}

    def create(self, tenant_id: str, dimension: int, after: int = 0) -> str:
        """Create the tenant's next collection, empty and not live, with a version above `after`; return its name."""
        name = collection_name(tenant_id, max([after, *self.versions(tenant_id).values()]) + 1)
        schema, indexes = layout(self._server.capabilities, dimension)
        self._server.job("create_collection", name, schema=schema, index_params=indexes, consistency_level="Bounded")
        return name

    def publish(self, tenant_id: str, collection: str) -> None:
        """Settle a collection and make it the tenant's live one; the collection before it stays, as a way back.

        `InvalidInput` for another tenant's collection.
        """
        self._check_owner(tenant_id, collection)
        self.settle(collection)
        live = self.live(tenant_id)
        if live != collection:
            self._server.call("alter_alias" if live else "create_alias", collection, alias_name(tenant_id))

    def settle(self, collection: str) -> None:
        """Make all writes durable and searchable: flush, load, and search once in each column."""
        self._server.job("flush", collection)
        self._server.job("load_collection", collection)
        self._probe(collection)

    def ensure_loaded(self, name: str) -> None:
        """Load a collection that a restart of the server left unloaded. `name`: a collection or an alias."""
        if self._server.call("get_load_state", name)["state"] != LoadState.Loaded:
            self._server.call("load_collection", name)

    def drop(self, tenant_id: str, collection: str) -> None:
        """Remove a collection that is not live. `InvalidInput` for the live one and for another tenant's."""
        self._check_owner(tenant_id, collection)
        if collection == self.live(tenant_id):
            raise InvalidInput(f"collection {collection!r} is live. Publish another one of the tenant first.")
        self._server.call("drop_collection", collection)

    def drop_tenant(self, tenant_id: str) -> None:
        """Remove the tenant's alias and collections, if there are any."""
        if self.live(tenant_id):
            self._server.call("drop_alias", alias_name(tenant_id))
        for name in self.versions(tenant_id):
            self._server.call("drop_collection", name)

    @cachedmethod(lambda self: self._described, key=lambda _, collection: collection, lock=lambda self: self._lock)
    def columns(self, collection: str) -> frozenset[str]:
        """The names of a collection's columns, which never change."""
        described = self._server.call("describe_collection", collection)
        return frozenset(field["name"] for field in described["fields"])

    def has_names(self, collection: str) -> bool:
        """Whether multi-hop search can read a collection; collections of older versions lack columns."""
        return self.columns(collection) >= MULTIHOP_COLUMNS

    def _check_owner(self, tenant_id: str, collection: str) -> None:
        known = self.versions(tenant_id)
        if collection not in known:
            raise InvalidInput(
                f"collection {collection!r}: tenant {tenant_id!r} has {sorted(known)}. "
                "Name one that `Collections.create` gave for this tenant."
            )

    def _probe(self, collection: str) -> None:
        """Search once in each column, up to the last write: the first search makes the server build its indexes."""
        fields = self._server.call("describe_collection", collection)["fields"]
        columns = {field["name"]: field for field in fields}
        probes: list[tuple[str, Any]] = [("vector", [1.0] * columns["vector"]["params"]["dim"])]
        if "terms" in columns:
            probes.append(("terms", "probe"))
        if NAMES in columns:
            probes.append((NAMES, sparse({})))
        for column, data in probes:
            self._server.job("search", collection, data=[data], anns_field=column, limit=1, consistency_level="Strong")
