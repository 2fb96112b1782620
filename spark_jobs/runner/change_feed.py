"""The rows of a table that changed since a step last ran: Delta's change data feed as a stream with a checkpoint.

The stream ends when it has read all changes. A checkpoint belongs to a step, a tenant and a `variant`. The variant
names everything beside the rows that the result depends on, such as the embedding model. A new variant has no
checkpoint, so the step sees every row again: this is how chunks are cut, embedded or indexed again.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextvars import copy_context

from pyspark.errors import StreamingQueryException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.storage.spark import append, delta_table
from lakehouse.tables import Table
from spark_jobs.runner.storage_files import child_names, delete


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
    """Call `handle` with the tenant's changed rows, a batch at a time, only the newest change of each key.

    `_change_type` is `delete` for a deleted row. After a crash the last batch comes again, so `handle` must be
    idempotent. Checkpoints of other variants are deleted, except `kept_variants`, which can continue later.
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
    """As `for_each_change`, but with every change, and with the old row of an update too: for sums over rows.

    `handle` also gets the batch's number. Batch 0 holds all rows of the table; the last batch may come again.
    """
    checkpoint = checkpoint_path(settings, step, tenant_id, variant)
    _keep_only(spark, checkpoint)
    _follow(spark, settings, table, tenant_id, checkpoint, handle, with_preimages=True)


def skip_to_now(spark: SparkSession, settings: Settings, table: Table, tenant_id: str, step: str, variant: str) -> None:
    """Let the step see only changes from now on, also if its checkpoint needs change data that was deleted."""
    checkpoint = checkpoint_path(settings, step, tenant_id, variant)
    delete(spark, checkpoint)
    _follow(spark, settings, table, tenant_id, checkpoint, lambda batch, batch_id: None)


def start_over(spark: SparkSession, settings: Settings, tenant_id: str, step: str, variant: str) -> None:
    """Let the step see every row again."""
    delete(spark, checkpoint_path(settings, step, tenant_id, variant))


def skip_changes_of_others(
    spark: SparkSession, settings: Settings, table: Table, tenant_id: str, checkpoint: str
) -> bool:
    """Move a checkpoint past changes of other tenants. False if it stops at a change of its own tenant."""
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
    """Stream all of the tenant's changes since the checkpoint."""
    context = copy_context()  # Spark calls in a thread of its own, which would know neither the job's log nor its step

    def handle_here(batch: DataFrame, batch_id: int) -> None:
        context.run(handle_batch, batch, batch_id)

    is_wanted = F.col("tenant_id") == tenant_id
    if not with_preimages:
        is_wanted &= F.col("_change_type") != "update_preimage"
    changes = (
        spark.readStream.format("delta").option("readChangeFeed", "true").load(table.path(settings.warehouse_root))
    )
    (
        changes.filter(is_wanted)
        .writeStream.foreachBatch(handle_here)
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
    """The rows that turn `known` into `new`, both of one tenant; `_change` is insert, update or delete.

    Rows that differ only in `ingest_run_id` are equal.
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
    """Write the rows of `differences` in one commit; return how many rows were written and deleted.

    Without changes there is no commit. If there are any, `before` is called with them before they are written.
    """
    changes = changes.persist()
    try:
        kinds = (F.count_if(F.col("_change") == kind) for kind in ("insert", "update", "delete"))
        inserted, updated, deleted = changes.agg(*kinds).first() or (0, 0, 0)
        if inserted or updated or deleted:
            before(changes)
        if updated or deleted:
            _merge(spark, settings, tenant_id, table, changes)
        elif inserted:  # a merge would read the table to look for rows that are not there
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
    """Delete the checkpoints of other variants: a variant that comes back must see every row again."""
    folder, _, name = checkpoint.rpartition("/")
    kept = {name, *map(checkpoint_name, kept_variants)}
    for other in child_names(spark, folder):
        if other not in kept:
            delete(spark, f"{folder}/{other}")
