"""Keep every table small and quick to open: compact files, write a log checkpoint, delete old files.

Steps read a table's change feed, and the feed is files too. Deleting files that a stream has not read yet would break
the next ingest of a tenant that was idle for longer than the retention. So every stream is first moved past the changes
of other tenants. A stream with unread changes of its own tenant, after a failed run, stays where it is and holds back
the deletion in its table. The stream of a retired collection is deleted: returning to that collection compares it.

No Z-order: rows are found by tenant, which is the partition, or by a hash, which no order of files helps.
"""

import json
import logging
import math
import re
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.index.versions import versions
from lakehouse.settings import Settings
from lakehouse.storage.delta import open_table
from lakehouse.storage.spark import delta_table
from lakehouse.tables import MEMORIES, TABLES, Table
from spark_jobs.runner.change_feed import checkpoint_name, skip_changes_of_others
from spark_jobs.runner.counts import Counts
from spark_jobs.runner.storage_files import child_names, delete, exists, matching_paths, modified_at, read_text
from spark_jobs.upkeep.retired import drop_retired

log = logging.getLogger("spark_jobs")

# Merges rewrite whole files: in one of Delta's usual 1 GB, a document that changed would cost a gigabyte of writing.
_FILE_BYTES = 128 * 1024 * 1024
_MARGIN_H = 24  # a job writes its files up to its task's timeout before it commits them
_CONF = {
    "spark.databricks.delta.optimize.maxFileSize": str(_FILE_BYTES),
    "spark.databricks.delta.optimize.minFileSize": str(_FILE_BYTES),
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # `vacuum_hours` is checked where it is read
}


@dataclass(frozen=True)
class Stream:
    """The checkpoint of one step and tenant: Delta's id of the followed table, and the next version to read."""

    step: str
    tenant_id: str
    path: str
    table_id: str
    version: int


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Delete expired memories and maintain every table. Safe beside readers, and safe to repeat after a kill."""
    for name, value in _CONF.items():
        spark.conf.set(name, value)
    drop_retired(spark, settings)
    tables = {str(open_table(settings, table).metadata().id): table for table in TABLES}
    delta_table(spark, settings, MEMORIES).delete(F.col("expires_at") <= F.current_timestamp())
    counts = {"files_compacted": sum(compact(spark, settings, table) for table in TABLES)}
    streams = list(find_streams(spark, settings))
    orphans = [stream for stream in streams if stream.table_id not in tables]
    for orphan in orphans:  # the table was created again: Delta would refuse the checkpoint and fail the step
        log.warning("%s of %s followed a table that is gone: it starts again", orphan.step, orphan.tenant_id)
    orphans += [stream for stream in streams if _is_of_retired(settings, stream)]
    for orphan in orphans:
        delete(spark, orphan.path)
    waiting = [s for s in streams if s not in orphans and not _catch_up(spark, settings, s, tables[s.table_id])]
    for table_id, table in tables.items():
        held_by = [stream for stream in waiting if stream.table_id == table_id]
        counts["files_deleted"] = counts.get("files_deleted", 0) + vacuum(spark, settings, table, held_by)
        opened = open_table(settings, table)
        opened.create_checkpoint()
        if not held_by:
            opened.cleanup_metadata()
    return counts | {"streams_waiting": len(waiting), "checkpoints_dropped": len(orphans)}


def compact(spark: SparkSession, settings: Settings, table: Table) -> int:
    """Rewrite small files as few large ones; return how many were replaced. No row changes, and streams skip it."""
    compacted = (
        delta_table(spark, settings, table).optimize().executeCompaction().select("metrics.numFilesRemoved").first()
    )
    return int(compacted[0]) if compacted else 0


def vacuum(spark: SparkSession, settings: Settings, table: Table, held_by: Sequence[Stream]) -> int:
    """Delete files that neither a version within the retention nor a stream in `held_by` needs; return how many."""
    target = delta_table(spark, settings, table)
    hours = float(settings.vacuum_hours)
    for stream in held_by:
        age_h = _commit_age_h(spark, f"{table.path(settings.warehouse_root)}/_delta_log", stream.version)
        hours = max(hours, math.ceil(age_h + _MARGIN_H))
        log.warning(
            "%s keeps its old files: %s of %s has yet to read version %d, %.0f hours old. Ingest that tenant again.",
            table.name, stream.step, stream.tenant_id, stream.version, age_h,
        )  # fmt: skip
    if math.isinf(hours):
        return 0
    target.vacuum(hours)
    last = target.history(1).select("operation", "operationMetrics").first()
    return int(last[1].get("numDeletedFiles", 0)) if last and last[0] == "VACUUM END" else 0


def find_streams(spark: SparkSession, settings: Settings) -> Iterator[Stream]:
    """The checkpoint of every step that follows a table."""
    for offsets in matching_paths(spark, f"{settings.warehouse_root}/_checkpoints/*/*/*/offsets"):
        checkpoint = offsets.removesuffix("/offsets")
        *_, step, tenant_id, _ = checkpoint.split("/")
        begun = _batch_numbers(spark, offsets)
        committed = begun & _batch_numbers(spark, f"{checkpoint}/commits")
        if not begun:
            continue  # a stream that never began will begin with the table as it is then
        source = json.loads(read_text(spark, f"{offsets}/{max(committed or begun)}").splitlines()[2])
        # One version earlier than noted: a batch that was begun and not committed is read again.
        yield Stream(step, tenant_id, checkpoint, source["reservoirId"], max(source["reservoirVersion"] - 1, 0))


def _is_of_retired(settings: Settings, stream: Stream) -> bool:
    """Whether the stream feeds a collection that no search reads: nothing reads the stream until a reindex returns."""
    names = {checkpoint_name(v.collection) for v in versions(settings, stream.tenant_id) if v.state == "retired"}
    return stream.step == "sync_index" and stream.path.rsplit("/", 1)[-1] in names


def _catch_up(spark: SparkSession, settings: Settings, stream: Stream, table: Table) -> bool:
    """True when no unread change is of the stream's tenant; the stream then stands at the newest version."""
    if stream.version >= open_table(settings, table).version():
        return True
    try:
        return skip_changes_of_others(spark, settings, table, stream.tenant_id, stream.path)
    except StreamingQueryException as error:
        log.warning(
            "%s of %s cannot go on from version %d: %s Reconcile that tenant.",
            stream.step, stream.tenant_id, stream.version, str(error).splitlines()[0],
        )  # fmt: skip
        return False


def _commit_age_h(spark: SparkSession, log_folder: str, version: int) -> float:
    """Age of a commit in hours; infinite when the log no longer holds the commit."""
    commit = f"{log_folder}/{version:020d}.json"
    if not exists(spark, commit):
        return math.inf
    return max(0.0, time.time() - modified_at(spark, commit)) / 3600


def _batch_numbers(spark: SparkSession, folder: str) -> set[int]:
    """Numbers of the batches that a folder of a checkpoint holds, a file each."""
    return {int(name) for name in child_names(spark, folder) if re.fullmatch(r"\d+", name)}
