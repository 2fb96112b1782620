"""Compare a tenant's live collection and its name frequencies with `silver.chunks`, and repair the differences.

The change feed keeps them equal. This job repairs changes that no feed can see: a Milvus restored from an old backup, a
collection that somebody wrote to, a disk that lost its last minutes. Both sides are read in parts and joined by chunk
id; only counts reach the driver.
"""

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from pyspark.sql import types as T  # noqa: N812

from lakehouse.index.index import Index
from lakehouse.index.layout import MAX_TEXT_BYTES
from lakehouse.index.versions import Version
from lakehouse.settings import Settings
from lakehouse.storage.delta import upsert
from lakehouse.storage.spark import read
from lakehouse.tables import CHUNKS, EMBEDDINGS, RECONCILE_RUNS
from spark_jobs.index.embed import embed_missing
from spark_jobs.index.name_frequencies import recount
from spark_jobs.index.sync import (
    INDEXED,
    agreed_version,
    as_indexed,
    build_collection,
    rows_to_write,
    tenants_with_chunks,
    write_rows,
)
from spark_jobs.index.sync import STEP as SYNC
from spark_jobs.runner.change_feed import skip_to_now
from spark_jobs.runner.counts import Counts

DRIFTS = ("missing", "extra", "stale_text", "stale_permissions")
COUNTS = "stale_counts"
_TEXTS = ("doc_id", "source", "title", "text", "uri", "heading", "document_type", "author")
_PERMISSIONS = ("tenant_id", "acl_key")
_NUMBERS = ("updated_at",)
_HELD = T.StructType([T.StructField(name, T.LongType() if name in _NUMBERS else T.StringType()) for name in INDEXED])
_BATCH_ROWS = 1000
# Chunk ids are hexadecimal hashes: two digits divide them evenly. Other ids fall into the first or last part.
_BOUNDS = ["", *(f"{number:02x}" for number in range(1, 256)), ""]


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Reconcile one tenant, or all; return the number of differing rows by kind of drift."""
    index = Index(settings)
    totals = dict.fromkeys((*DRIFTS, COUNTS), 0)
    try:
        for tenant_id in [args.tenant] if args.tenant else tenants_with_chunks(spark, settings):
            for drift, count in reconcile_tenant(spark, settings, index, tenant_id, args.run_id).items():
                totals[drift] += count
    finally:
        index.close()
    return totals


def reconcile_tenant(
    spark: SparkSession, settings: Settings, index: Index, tenant_id: str, run_id: str
) -> dict[str, int]:
    """Compare and repair one tenant, and write a row of `ops.reconcile_runs`; return the count of each drift."""
    started_at, begun = datetime.now(UTC), time.monotonic()
    chunks = read(spark, settings, CHUNKS).filter(F.col("tenant_id") == tenant_id)
    live = agreed_version(settings, index, tenant_id)
    counts = dict.fromkeys(DRIFTS, 0)
    if live:
        embed_missing(spark, settings, run_id, live.embedding_model, chunks)
        if not live.is_current:
            live = build_collection(spark, settings, index, tenant_id, live, run_id) or live
        counts = repair(spark, settings, index, live, chunks)
    counts[COUNTS] = recount(spark, settings, tenant_id, run_id)
    row: dict[str, Any] = {"run_id": run_id, "tenant_id": tenant_id, "collection": live and live.collection}
    row |= {"chunks": chunks.count(), "started_at": started_at, "seconds": time.monotonic() - begun}
    upsert(settings, RECONCILE_RUNS, [row | counts])
    return counts


def repair(
    spark: SparkSession, settings: Settings, index: Index, version: Version, chunks: DataFrame
) -> dict[str, int]:
    """Make a collection equal to the tenant's chunks, which must be embedded; return the count of each drift.

    The next sync of the collection sees only changes from now on.
    """
    drifted = drift(chunks, held_rows(spark, settings, version.collection)).persist()
    try:
        counted = {row["drift"]: row["count"] for row in drifted.groupBy("drift").count().collect()}
        if counted:
            kind = F.when(F.col("drift") == "extra", "delete").otherwise("update_postimage")
            repairs = rows_to_write(
                drifted.withColumn("_change_type", kind), read(spark, settings, EMBEDDINGS), version.embedding_model
            )
            write_rows(settings, version.collection, repairs)
            index.collections.settle(version.collection)
        skip_to_now(spark, settings, CHUNKS, version.tenant_id, SYNC, version.collection)
        return {name: counted.get(name, 0) for name in DRIFTS}
    finally:
        drifted.unpersist()


def drift(chunks: DataFrame, held: DataFrame) -> DataFrame:
    """Every chunk that differs in Milvus, as it should be, and every row without a chunk; `drift` is the kind."""
    wanted = as_indexed(chunks)
    both = wanted.alias("wanted").join(held.alias("held"), on=F.expr("wanted.chunk_id = held.chunk_id"), how="full")
    kind = (
        F.when(F.col("held.chunk_id").isNull(), "missing")
        .when(F.col("wanted.chunk_id").isNull(), "extra")
        .when(_differs(_PERMISSIONS), "stale_permissions")
        .when(_differs(_TEXTS) | F.expr("wanted.updated_at != held.updated_at"), "stale_text")
    )
    columns = [F.coalesce(f"wanted.{name}", f"held.{name}").alias(name) for name in INDEXED]
    wanted_only = [F.col(f"wanted.{name}").alias(name) for name in ("heading_path", "content_hash")]
    return both.select(*columns, *wanted_only, kind.alias("drift")).filter(F.col("drift").isNotNull())


def _differs(names: tuple[str, ...]) -> Column:
    differs = F.lit(False)
    for name in names:
        wanted, held = F.col(f"wanted.{name}"), F.col(f"held.{name}")
        # Milvus cuts a text to its largest field, at a whole character
        is_cut = (F.octet_length(held) > MAX_TEXT_BYTES - 4) & F.startswith(wanted, held)
        differs |= (wanted != held) & ~is_cut
    return differs


def held_rows(spark: SparkSession, settings: Settings, collection: str) -> DataFrame:
    """All rows of a collection without vectors, read by several tasks, each some ranges of ids."""
    parts = spark.range(
        len(_BOUNDS) - 1, numPartitions=min(len(_BOUNDS) - 1, 4 * spark.sparkContext.defaultParallelism)
    )
    return parts.mapInArrow(reading(settings, collection), _HELD)


def reading(settings: Settings, collection: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: numbers of id ranges in, the rows of Milvus in these ranges out."""
    schema = pa.schema([(name, pa.int64() if name in _NUMBERS else pa.string()) for name in INDEXED])

    def read_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        index = Index(settings)
        try:
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    rows: list[dict[str, Any]] = []
                    for row in index.reader.rows(collection, INDEXED, _BOUNDS[number], _BOUNDS[number + 1]):
                        rows.append({name: row[name] for name in INDEXED})
                        if len(rows) == _BATCH_ROWS:
                            yield pa.RecordBatch.from_pylist(rows, schema)
                            rows = []
                    yield pa.RecordBatch.from_pylist(rows, schema)
        finally:
            index.close()

    return read_all
