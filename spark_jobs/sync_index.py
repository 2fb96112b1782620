"""Bring Milvus to what `silver.chunks` holds: upsert what changed, delete what is gone, then publish.

One task writes, whatever the size: concurrent writers lose rows on the embedded server. A tenant without a live
collection, or whose collection has another model's vectors, gets a new one, filled from Delta and put behind the
alias once it answers; until then searches read the old one.
"""

from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import cast

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.collection import IndexRow, alias_name
from lakehouse.delta import read_rows, upsert
from lakehouse.errors import Unavailable
from lakehouse.index import Index
from lakehouse.settings import Settings
from lakehouse.spark import read
from lakehouse.tables import CHUNKS, EMBEDDINGS, INDEX_VERSIONS
from spark_jobs.changes import for_each_change, forget
from spark_jobs.runs import Counts

STEP = "sync_index"
_WRITTEN = "written BIGINT, deleted BIGINT"
_INDEXED = ("chunk_id", "tenant_id", "acl_key", "doc_id", "source", "title", "text", "uri")


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Sync one tenant. It counts for nothing in `ops.ingest_runs`: `chunk_documents` counted the same chunks."""
    index = Index(settings)
    try:
        collection = index.live_collection(args.tenant)
        if collection and _model_of(settings, args.tenant, collection) == settings.embedding_model:
            if _sync(spark, settings, args, collection):
                index.publish(args.tenant, collection)
        elif dimension := _dimension(spark, settings, args.tenant):
            collection = index.create_collection(args.tenant, dimension)
            forget(spark, settings, args.tenant, STEP)  # of a collection of that name that Milvus has lost
            _sync(spark, settings, args, collection)
            index.publish(args.tenant, collection)
            _record_version(settings, args.tenant, collection, dimension)
        return {}
    finally:
        index.close()


def _sync(spark: SparkSession, settings: Settings, args: Namespace, collection: str) -> int:
    """Write what changed since the last sync of this collection; return how many chunks were written or deleted."""
    touched = 0

    def write_batch(changes: DataFrame) -> None:
        nonlocal touched
        rows = rows_to_write(changes, read(spark, settings, EMBEDDINGS), settings.embedding_model)
        written = rows.coalesce(1).mapInArrow(writing(settings, collection), _WRITTEN)
        total = written.agg(F.sum(F.col("written") + F.col("deleted")).alias("touched")).first()
        touched += (total and total["touched"]) or 0

    for_each_change(spark, settings, CHUNKS, args.tenant, STEP, collection, write_batch)
    return touched


def rows_to_write(changes: DataFrame, embeddings: DataFrame, model: str) -> DataFrame:
    """Changed chunks with their vectors; `_change_type` says `delete` for those to remove."""
    by_model = embeddings.filter(F.col("embedding_model") == model).select("content_hash", "vector")
    heading = F.concat_ws(" › ", "heading_path").alias("heading")
    joined = changes.join(by_model, on="content_hash", how="left")
    return joined.select(*_INDEXED, heading, "vector", "_change_type")


def writing(settings: Settings, collection: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that writes to Milvus and yields how many chunks it wrote and deleted."""

    def write_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        index = Index(settings)
        try:
            for batch in batches:
                is_delete = [kind == "delete" for kind in batch.column("_change_type").to_pylist()]
                gone = batch.filter(pa.array(is_delete))
                deleted = index.delete(collection, gone.column("chunk_id").to_pylist()) if gone.num_rows else 0
                written = index.upsert(collection, _index_rows(batch.filter(pa.array([not one for one in is_delete]))))
                yield pa.RecordBatch.from_pydict({"written": [written], "deleted": [deleted]})
        finally:
            index.close()

    return write_all


def _index_rows(batch: pa.RecordBatch) -> Iterator[IndexRow]:
    if batch.num_rows == 0:  # all of its chunks were deleted
        return
    vectors = batch.column("vector")
    if vectors.null_count:
        raise Unavailable(
            "embeddings",
            f"{vectors.null_count} chunks have no embedding by this model. Run embed_chunks, then sync_index again.",
        )
    matrix = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(batch.num_rows, -1)
    for row, vector in zip(batch.drop_columns(["vector", "_change_type"]).to_pylist(), matrix, strict=True):
        yield cast(IndexRow, row | {"vector": vector})


def _model_of(settings: Settings, tenant_id: str, collection: str) -> str | None:
    rows = read_rows(settings, INDEX_VERSIONS, [("tenant_id", "=", tenant_id), ("collection", "=", collection)])
    return rows[0]["embedding_model"] if rows else None


def _dimension(spark: SparkSession, settings: Settings, tenant_id: str) -> int | None:
    """Length of the vectors of the tenant's chunks; None while it has no chunk."""
    chunks = read(spark, settings, CHUNKS).filter(F.col("tenant_id") == tenant_id)
    vectors = read(spark, settings, EMBEDDINGS).filter(F.col("embedding_model") == settings.embedding_model)
    found = chunks.join(vectors, on="content_hash").select(F.size("vector").alias("dimension")).first()
    return found["dimension"] if found else None


def _record_version(settings: Settings, tenant_id: str, collection: str, dimension: int) -> None:
    row = {
        "tenant_id": tenant_id,
        "collection": collection,
        "alias": alias_name(tenant_id),
        "embedding_model": settings.embedding_model,
        "dimension": dimension,
        "created_at": datetime.now(UTC),
    }
    upsert(settings, INDEX_VERSIONS, [row])
