"""Writes chunks to the collections of a tenant, and deletes them."""

from collections.abc import Iterable, Sequence
from itertools import batched

from lakehouse.index.collections import Collections
from lakehouse.index.permission_filter import any_of, document_filters
from lakehouse.index.rows import IndexRow, to_row
from lakehouse.index.server import Server

WRITE_BATCH = 500  # larger batches gain nothing on milvus-lite, and a cluster takes 64 MB at most


class Writer:
    """Writes for jobs, one process a tenant (see `lakehouse.index.collections`).

    Every method raises `Unavailable` when Milvus does not answer in time or refuses the call.
    """

    def __init__(self, server: Server, collections: Collections) -> None:
        self._server = server
        self._collections = collections

    def upsert(self, collection: str, chunks: Iterable[IndexRow]) -> int:
        """Write chunks, each in place of the chunk with its `chunk_id`; return their number.

        Searches may see them at once, and do see them after `Collections.settle`. `InvalidInput` for an impossible id.
        """
        written, columns = 0, self._collections.columns(collection)
        for batch in batched(chunks, WRITE_BATCH):
            self._server.job("upsert", collection, [to_row(chunk, columns) for chunk in batch])
            written += len(batch)
        return written

    def delete(self, collection: str, chunk_ids: Iterable[str]) -> int:
        """Delete chunks; return the number of ids: the server does not say which of them existed."""
        count = 0
        for batch in batched(chunk_ids, WRITE_BATCH):
            self._server.job("delete", collection, filter=any_of("chunk_id", batch))
            count += len(batch)
        return count

    def delete_documents(self, tenant_id: str, source: str | None, doc_ids: Sequence[str]) -> None:
        """Delete all chunks of these documents from all of the tenant's collections, live or not.

        No `doc_ids`: of all documents; `source` None: of any source.
        """
        for collection in self._collections.versions(tenant_id):
            self._server.job("load_collection", collection)  # Milvus deletes by a filter in loaded collections only
            for document_filter in document_filters(tenant_id, source, doc_ids, WRITE_BATCH):
                self._server.job("delete", collection, filter=document_filter)
            self._server.job("flush", collection)
