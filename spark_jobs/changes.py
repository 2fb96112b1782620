"""The rows of a table that changed since a step last ran: Delta's change data feed as a stream with a checkpoint.

The stream runs until it has caught up and ends. A checkpoint belongs to a step, a tenant, and a `variant`: what the
step's result depends on besides the rows, such as the embedding model. Another variant has no checkpoint yet, so
the step sees every row again, and that is all that re-chunking, re-embedding and re-indexing are.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.tables import Table


def for_each_change(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    tenant_id: str,
    step: str,
    variant: str,
    handle: Callable[[DataFrame], None],
    kept_variants: Collection[str] = (),
) -> None:
    """Call `handle` with the tenant's rows that changed, a batch at a time, each key at its newest.

    `_change_type` says `delete` for a row that is gone. After a crash the last batch comes again, so handling one
    twice must do no harm. Of other variants only the kept ones may be resumed later where they stopped.
    """
    folder = f"{settings.warehouse_root}/_checkpoints/{step}/{tenant_id}"
    name = _checkpoint_name(variant)
    _keep_only(spark, folder, {name, *map(_checkpoint_name, kept_variants)})

    def handle_batch(batch: DataFrame, batch_id: int) -> None:
        handle(newest_changes(batch, table.key))

    is_wanted = (F.col("tenant_id") == tenant_id) & (F.col("_change_type") != "update_preimage")
    changes = (
        spark.readStream.format("delta").option("readChangeFeed", "true").load(table.path(settings.warehouse_root))
    )
    (
        changes.filter(is_wanted)
        .writeStream.foreachBatch(handle_batch)
        .option("checkpointLocation", f"{folder}/{name}")
        .trigger(availableNow=True)
        .start()
        .awaitTermination()
    )


def newest_changes(batch: DataFrame, key: Sequence[str]) -> DataFrame:
    """The last change of each key; a key may change in several commits between two runs."""
    newest = Window.partitionBy(*key).orderBy(F.desc("_commit_version"))
    ranked = batch.withColumn("_rank", F.row_number().over(newest))
    return ranked.filter("_rank = 1").drop("_rank", "_commit_version", "_commit_timestamp")


def _checkpoint_name(variant: str) -> str:
    return hashlib.sha256(variant.encode()).hexdigest()[:16]


def _keep_only(spark: SparkSession, folder: str, names: Collection[str]) -> None:
    """Remove the checkpoints of other variants: who comes back to one must not resume where it once stopped."""
    jvm: Any = spark.sparkContext._jvm
    hadoop = jvm.org.apache.hadoop.fs
    path = hadoop.Path(folder)
    files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    if files.exists(path):
        for found in files.listStatus(path):
            if found.getPath().getName() not in names:
                files.delete(found.getPath(), True)
