"""The rows of a table that changed since a step last ran: Delta's change data feed as a stream with a checkpoint.

The stream runs until it has caught up and ends. A checkpoint belongs to a step, a tenant, and a `variant`: what the
step's result depends on besides the rows, such as the embedding model. Another variant has no checkpoint yet, so
the step sees every row again, and that is all that re-chunking, re-embedding and re-indexing are.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from pyspark.errors import StreamingQueryException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.storage.spark import append, delta_table
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

    def handle_batch(batch: DataFrame, batch_id: int) -> None:
        handle(newest_changes(batch, table.key))

    checkpoint = checkpoint_path(settings, step, tenant_id, variant)
    _keep_only(spark, checkpoint, kept_variants)
    _follow(spark, settings, table, tenant_id, checkpoint, handle_batch)


def for_each_batch(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    tenant_id: str,
    step: str,
    variant: str,
    handle: Callable[[DataFrame, int], None],
) -> None:
    """As `for_each_change`, but with every change as it was, rows before an update too: for sums over rows.

    `handle` also takes the batch's number: 0 begins with all rows that there are, and the last one may come again.
    """
    checkpoint = checkpoint_path(settings, step, tenant_id, variant)
    _keep_only(spark, checkpoint)
    _follow(spark, settings, table, tenant_id, checkpoint, handle, with_preimages=True)


def skip_to_now(spark: SparkSession, settings: Settings, table: Table, tenant_id: str, step: str, variant: str) -> None:
    """Let the step see only what changes from now on; also where its checkpoint needs changes that are gone."""
    checkpoint = checkpoint_path(settings, step, tenant_id, variant)
    _remove(spark, checkpoint)
    _follow(spark, settings, table, tenant_id, checkpoint, lambda batch, batch_id: None)


def start_over(spark: SparkSession, settings: Settings, tenant_id: str, step: str, variant: str) -> None:
    """Let the step see every row again."""
    _remove(spark, checkpoint_path(settings, step, tenant_id, variant))


def skip_changes_of_others(
    spark: SparkSession, settings: Settings, table: Table, tenant_id: str, checkpoint: str
) -> bool:
    """Move a checkpoint past changes that are not its tenant's; False when it stops at one that is, for its step."""
    is_waiting = False

    def refuse_rows(batch: DataFrame, batch_id: int) -> None:
        nonlocal is_waiting
        is_waiting = not batch.isEmpty()
        if is_waiting:
            raise RuntimeError("changes wait for their step")  # so that the batch is not committed

    try:
        _follow(spark, settings, table, tenant_id, checkpoint, refuse_rows)
    except StreamingQueryException:
        if not is_waiting:
            raise
    return not is_waiting


def _follow(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    tenant_id: str,
    checkpoint: str,
    handle_batch: Callable[[DataFrame, int], None],
    with_preimages: bool = False,
) -> None:
    """Stream the tenant's changes since the checkpoint until none is left."""
    is_wanted = F.col("tenant_id") == tenant_id
    if not with_preimages:
        is_wanted &= F.col("_change_type") != "update_preimage"
    changes = (
        spark.readStream.format("delta").option("readChangeFeed", "true").load(table.path(settings.warehouse_root))
    )
    (
        changes.filter(is_wanted)
        .writeStream.foreachBatch(handle_batch)
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
        .start()
        .awaitTermination()
    )


def newest_changes(batch: DataFrame, key: Sequence[str]) -> DataFrame:
    """The last change of each key; a key may change in several commits between two runs."""
    newest = Window.partitionBy(*key).orderBy(F.desc("_commit_version"))
    ranked = batch.withColumn("_rank", F.row_number().over(newest))
    return ranked.filter("_rank = 1").drop("_rank", "_commit_version", "_commit_timestamp")


def differences(new: DataFrame, known: DataFrame, table: Table) -> DataFrame:
    """The rows that bring the known ones of a tenant to the new ones; `_change` says insert, update or delete.

    The run that wrote a row makes no difference.
    """
    compared = [name for name in table.column_names if name != "ingest_run_id"]
    differs = ~F.struct(*(F.col(f"new.{name}") for name in compared)).eqNullSafe(
        F.struct(*(F.col(f"known.{name}") for name in compared))
    )
    same_key = " AND ".join(f"new.{name} = known.{name}" for name in table.key)
    both = new.alias("new").join(known.alias("known"), on=F.expr(same_key), how="full")
    is_gone = F.col(f"new.{table.key[0]}").isNull()
    is_new = F.col(f"known.{table.key[0]}").isNull()
    columns = [
        F.when(is_gone, F.col(f"known.{name}")).otherwise(F.col(f"new.{name}")).alias(name)
        for name in table.column_names
    ]
    change = F.when(is_gone, "delete").when(is_new, "insert").otherwise("update").alias("_change")
    return both.filter(differs).select(*columns, change)


def write_differences(
    spark: SparkSession,
    settings: Settings,
    tenant_id: str,
    table: Table,
    changes: DataFrame,
    before: Callable[[DataFrame], None] = lambda changes: None,
) -> tuple[int, int]:
    """Write what `differences` found, in one commit; return how many rows were written and deleted.

    No change makes no commit. `before` is called with the changes, if there are any, before they are written.
    """
    changes = changes.persist()
    try:
        kinds = (F.count_if(F.col("_change") == kind) for kind in ("insert", "update", "delete"))
        inserted, updated, deleted = changes.agg(*kinds).first() or (0, 0, 0)
        if inserted or updated or deleted:
            before(changes)
        if updated or deleted:
            _merge(spark, settings, tenant_id, table, changes)
        elif inserted:  # a merge would seek in the table what cannot be there
            append(settings, table, changes.select(*table.column_names))
        return inserted + updated, deleted
    finally:
        changes.unpersist()


def _merge(spark: SparkSession, settings: Settings, tenant_id: str, table: Table, changes: DataFrame) -> None:
    same_key = " AND ".join(f"known.{name} = new.{name}" for name in table.key if name != "tenant_id")
    columns: dict[str, str | Column] = {name: f"new.{name}" for name in table.column_names}
    (
        delta_table(spark, settings, table)
        .alias("known")
        # the tenant as a constant lets Delta read that partition only
        .merge(changes.alias("new"), f"known.tenant_id = '{tenant_id}' AND {same_key}")
        .whenMatchedDelete("new._change = 'delete'")
        .whenMatchedUpdate("new._change = 'update'", columns)
        .whenNotMatchedInsert("new._change = 'insert'", columns)
        .execute()
    )


def checkpoint_path(settings: Settings, step: str, tenant_id: str, variant: str) -> str:
    """Folder of a variant's checkpoint."""
    return f"{settings.warehouse_root}/_checkpoints/{step}/{tenant_id}/{checkpoint_name(variant)}"


def checkpoint_name(variant: str) -> str:
    """Folder of a variant's checkpoint, below those of its step and tenant."""
    return hashlib.sha256(variant.encode()).hexdigest()[:16]


def _keep_only(spark: SparkSession, checkpoint: str, kept_variants: Collection[str] = ()) -> None:
    """Remove the checkpoints of other variants: who comes back to one must not resume where it once stopped."""
    folder, _, name = checkpoint.rpartition("/")
    names = {name, *map(checkpoint_name, kept_variants)}
    files, path = _files(spark, folder)
    if files.exists(path):
        for found in files.listStatus(path):
            if found.getPath().getName() not in names:
                files.delete(found.getPath(), True)


def _remove(spark: SparkSession, folder: str) -> None:
    files, path = _files(spark, folder)
    files.delete(path, True)


def _files(spark: SparkSession, folder: str) -> tuple[Any, Any]:
    """Hadoop's file system of a folder, and the folder as it names it."""
    jvm: Any = spark.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(folder)
    return path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), path
