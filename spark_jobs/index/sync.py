"""Update Milvus from `silver.chunks`: upsert changed chunks, remove deleted chunks, publish a new collection.

`silver.frequencies`, by which multi-hop search weighs names, is updated first.

The embedded server loses rows of concurrent writers, so one task writes to it; several tasks write to a Milvus. A
tenant without a live collection gets a new one, filled from Delta and published once it is complete. Here a tenant
keeps the embedding model of its live collection; `spark_jobs.index.reindex` changes the model.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.errors import Unavailable
from lakehouse.index.index import Index
from lakehouse.index.layout import LAYOUT
from lakehouse.index.rows import IndexRow
from lakehouse.index.search_filters import FILTER_COLUMNS, UNKNOWN_TIME
from lakehouse.index.versions import Version, live_version, save, tenant_model, versions
from lakehouse.settings import Settings
from lakehouse.storage.spark import read
from lakehouse.tables import CHUNKS, EMBEDDINGS
from lakehouse.text.names import HEADING_JOINT
from spark_jobs.index import embed as embed_chunks
from spark_jobs.index.name_frequencies import bring_up_to_date
from spark_jobs.runner.change_feed import for_each_change
from spark_jobs.runner.counts import Counts
from spark_jobs.runner.progress import done

STEP = "sync_index"
_WRITTEN = "written BIGINT, deleted BIGINT"
_WRITERS = 8  # as many as a Milvus cluster has shards and proxies to spread them over
log = logging.getLogger("spark_jobs")
_TEXTS = ("chunk_id", "tenant_id", "acl_key", "doc_id", "source", "title", "heading", "text", "uri")
INDEXED = (*_TEXTS, *FILTER_COLUMNS)
"""Columns of `as_indexed` that a collection holds."""


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Sync one tenant. Returns no counts: `chunk_documents` counted the same chunks."""
    bring_up_to_date(spark, settings, args.tenant, args.run_id)
    index = Index(settings)
    try:
        embedded_by = tenant_model(settings, args.tenant)
        live = agreed_version(settings, index, args.tenant)
        if live and live.embedding_model != embedded_by:  # the recorded version was outdated when embed_chunks ran
            embed_chunks.run(spark, settings, args)
        is_built = (live is None or not live.is_current) and build_collection(
            spark, settings, index, args.tenant, live, args.run_id
        )
        if live and not is_built and sync_collection(spark, settings, live):
            index.collections.settle(live.collection)
        return {}
    finally:
        index.close()


def build_collection(
    spark: SparkSession, settings: Settings, index: Index, tenant_id: str, old: Version | None, run_id: str
) -> Version | None:
    """Fill a new collection from Delta and publish it in place of `old`; None without any chunk.

    Searches read `old` until then. Vectors are kept in Delta, so no text is embedded again.
    """
    model = old.embedding_model if old else tenant_model(settings, tenant_id)
    building = next_version(spark, settings, index, tenant_id, model, run_id)
    if building is None:
        return None
    if old:
        log.info("tenant %s: %s was built by an earlier release: build it again", tenant_id, old.collection)
    sync_collection(spark, settings, building)
    index.collections.publish(tenant_id, building.collection)
    live = building.gone_live(run_id, index.reader.count(tenant_id, building.collection), recall=None)
    record_exchange(settings, index, live, old)
    return live


def tenants_with_chunks(spark: SparkSession, settings: Settings) -> list[str]:
    """Every tenant that has a chunk."""
    rows = read(spark, settings, CHUNKS).select("tenant_id").distinct().orderBy("tenant_id").collect()
    return [row["tenant_id"] for row in rows]


def agreed_version(settings: Settings, index: Index, tenant_id: str) -> Version | None:
    """The tenant's live version, after Delta was made to agree with the alias; None without a live collection.

    The alias decides: a run may have been killed after it moved the alias and before it recorded that in Delta.
    """
    collection = index.collections.live(tenant_id)
    recorded = live_version(settings, tenant_id)
    if collection is None or (recorded and recorded.collection == collection):
        return recorded if collection else None
    pointed = next((version for version in versions(settings, tenant_id) if version.collection == collection), None)
    if pointed is None:
        return None  # its model is unknown, so a new collection is built
    changed = [pointed.gone_live(pointed.run_id, index.reader.count(tenant_id), pointed.recall)]
    if recorded:
        changed.append(replace(recorded, state="retired"))
    save(settings, *changed)
    return changed[0]


def next_version(
    spark: SparkSession, settings: Settings, index: Index, tenant_id: str, model: str, run_id: str
) -> Version | None:
    """A collection to fill for this model: half-built by a killed run, or new. None without any chunk."""
    dimension = _dimension(spark, settings, tenant_id, model)
    if dimension is None:
        return None
    known, present = versions(settings, tenant_id), index.collections.versions(tenant_id)
    fitting = [v for v in known if v.embedding_model == model and v.is_current and v.collection in present]
    begun = [version for version in fitting if version.state == "building"]
    if begun:
        return begun[-1]
    after = max((version.number for version in known), default=0)
    collection = index.collections.create(tenant_id, dimension, after)
    created = Version(tenant_id, collection, model, dimension, datetime.now(UTC), run_id, layout=LAYOUT)
    save(settings, created)
    return created


def record_exchange(settings: Settings, index: Index, live: Version, old: Version | None) -> None:
    """Record the new live version, retire the old one, and drop older ones: one version is kept to return to."""
    changed = [live, *([replace(old, state="retired")] if old else [])]
    kept = {version.collection for version in changed}
    for version in versions(settings, live.tenant_id):
        if version.collection not in kept and version.state != "dropped":
            changed.append(replace(version, state="dropped"))
    save(settings, *changed)
    for collection in set(index.collections.versions(live.tenant_id)) - kept:
        index.collections.drop(live.tenant_id, collection)


def sync_collection(spark: SparkSession, settings: Settings, version: Version) -> int:
    """Write the changes since the last sync of this collection; return how many chunks were written or deleted."""
    touched = 0

    def write_batch(changes: DataFrame) -> None:
        nonlocal touched
        rows = rows_to_write(changes, read(spark, settings, EMBEDDINGS), version.embedding_model)
        touched += write_rows(settings, version.collection, rows)

    kept = [other.collection for other in versions(settings, version.tenant_id) if other.state != "dropped"]
    for_each_change(spark, settings, CHUNKS, version.tenant_id, STEP, version.collection, write_batch, kept)
    return touched


def write_rows(settings: Settings, collection: str, rows: DataFrame) -> int:
    """Write the rows of `rows_to_write` to Milvus; return how many were written or deleted."""
    index = Index(settings)
    try:
        parted = rows.repartition(_WRITERS, "chunk_id") if index.capabilities.several_writers else rows.coalesce(1)
    finally:
        index.close()
    written = parted.mapInArrow(writing(settings, collection), _WRITTEN)
    total = written.agg(F.sum(F.col("written") + F.col("deleted")).alias("touched")).first()
    return (total and total["touched"]) or 0


def rows_to_write(changes: DataFrame, embeddings: DataFrame, model: str) -> DataFrame:
    """Changed chunks with their vectors; `_change_type` is `delete` for chunks to remove."""
    by_model = embeddings.filter(F.col("embedding_model") == model).select("content_hash", "vector")
    joined = changes.join(by_model, on="content_hash", how="left")
    return as_indexed(joined).select(*INDEXED, "vector", "_change_type")


def as_indexed(chunks: DataFrame) -> DataFrame:
    """Chunks with the values that the index holds of them: what is unknown is empty, and a time is in seconds."""
    return chunks.withColumns(
        {
            "heading": F.concat_ws(HEADING_JOINT, "heading_path"),
            "document_type": F.coalesce("document_type", F.lit("")),
            "author": F.coalesce("author", F.lit("")),
            "updated_at": F.coalesce(F.col("updated_at").cast("long"), F.lit(UNKNOWN_TIME)),
        }
    )


def writing(settings: Settings, collection: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that writes to Milvus and yields how many chunks it wrote and deleted."""

    def write_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        index = Index(settings)
        try:
            for batch in batches:
                is_delete = [kind == "delete" for kind in batch.column("_change_type").to_pylist()]
                gone = batch.filter(pa.array(is_delete))
                deleted = index.writer.delete(collection, gone.column("chunk_id").to_pylist()) if gone.num_rows else 0
                kept = batch.filter(pa.array([not flag for flag in is_delete]))
                written = index.writer.upsert(collection, _index_rows(kept))
                done(batch.num_rows)
                yield pa.RecordBatch.from_pydict({"written": [written], "deleted": [deleted]})
        finally:
            index.close()

    return write_all


def _index_rows(batch: pa.RecordBatch) -> Iterator[IndexRow]:
    if batch.num_rows == 0:  # a batch of deletions only
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


def _dimension(spark: SparkSession, settings: Settings, tenant_id: str, model: str) -> int | None:
    """Length of the vectors of the tenant's chunks; None while it has no chunk."""
    chunks = read(spark, settings, CHUNKS).filter(F.col("tenant_id") == tenant_id)
    vectors = read(spark, settings, EMBEDDINGS).filter(F.col("embedding_model") == model)
    found = chunks.join(vectors, on="content_hash").select(F.size("vector").alias("dimension")).first()
    return found["dimension"] if found else None
