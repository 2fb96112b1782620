"""Keep every table small and quick to open: compact its files, write a checkpoint of its log, delete what is stale.

Steps follow a table's change feed, and a feed is files too: deleting those that a stream has yet to read would break
the next ingest of a tenant that has been idle for longer than the retention. So streams come first: each is moved past
changes that are none of its tenant's. One that has changes of its own waiting (a run that failed) is left alone, and
holds back the deletion in its table. That of a retired collection is dropped: who returns to it compares it as well.

No Z-order: rows are found by tenant, which is the partition, or by a hash, for which an order of files does nothing.
"""

import json
import logging
import math
import re
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
    """The checkpoint of one step and tenant: the table that it follows, by Delta's id, and the version to read next."""

    step: str
    tenant_id: str
    path: str
    table_id: str
    version: int


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Delete what has expired, and maintain every table; safe beside readers, and to run again after any kill."""
    for name, value in _CONF.items():
        spark.conf.set(name, value)
    tables = {str(open_table(settings, table).metadata().id): table for table in TABLES}
    delta_table(spark, settings, MEMORIES).delete(F.col("expires_at") <= F.current_timestamp())
    counts = {"files_compacted": sum(compact(spark, settings, table) for table in TABLES)}
    streams = list(find_streams(spark, settings))
    orphans = [stream for stream in streams if stream.table_id not in tables]
    for orphan in orphans:  # its table was created anew: Delta would refuse the checkpoint, and the step with it
        log.warning("%s of %s followed a table that is gone: it starts anew", orphan.step, orphan.tenant_id)
    orphans += [stream for stream in streams if _is_of_retired(settings, stream)]
    for orphan in orphans:
        _delete(spark, orphan.path)
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
    """Rewrite small files as few; return how many went. It changes no row, and streams pass over it."""
    done = delta_table(spark, settings, table).optimize().executeCompaction().select("metrics.numFilesRemoved").first()
    return int(done[0]) if done else 0


def vacuum(spark: SparkSession, settings: Settings, table: Table, held_by: Sequence[Stream]) -> int:
    """Delete files that no version within the retention needs, and no stream in `held_by`; return how many."""
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
    told = target.history(1).select("operation", "operationMetrics").first()
    return int(told[1].get("numDeletedFiles", 0)) if told and told[0] == "VACUUM END" else 0


def find_streams(spark: SparkSession, settings: Settings) -> Iterator[Stream]:
    """Every checkpoint that follows a table's changes, whichever step made it."""
    files, root = _files(spark, settings.warehouse_root), f"{settings.warehouse_root}/_checkpoints"
    for found in files.globStatus(_path(spark, f"{root}/*/*/*/offsets")) or ():
        offsets = found.getPath().toString()
        checkpoint = offsets.removesuffix("/offsets")
        *_, step, tenant_id, _ = checkpoint.split("/")
        numbers = _numbers(spark, files, offsets)
        committed = numbers & _numbers(spark, files, f"{checkpoint}/commits")
        if not numbers:
            continue  # it never began, and will begin with the table as it is then
        source = json.loads(_read(spark, files, f"{offsets}/{max(committed or numbers)}").splitlines()[2])
        # One version earlier than it says: a batch that was begun and not committed is read again.
        yield Stream(step, tenant_id, checkpoint, source["reservoirId"], max(source["reservoirVersion"] - 1, 0))


def _is_of_retired(settings: Settings, stream: Stream) -> bool:
    """Whether the stream feeds a collection that searches have left: nothing moves it on until somebody returns."""
    names = {checkpoint_name(v.collection) for v in versions(settings, stream.tenant_id) if v.state == "retired"}
    return stream.step == "sync_index" and stream.path.rsplit("/", 1)[-1] in names


def _catch_up(spark: SparkSession, settings: Settings, stream: Stream, table: Table) -> bool:
    """True when nothing of its tenant's waits for the stream, which then stands at the newest version."""
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
    """Age of a commit in hours; infinite when it is no longer in the log."""
    files, commit = _files(spark, log_folder), _path(spark, f"{log_folder}/{version:020d}.json")
    if not files.exists(commit):
        return math.inf
    return max(0.0, time.time() - files.getFileStatus(commit).getModificationTime() / 1000) / 3600


def _numbers(spark: SparkSession, files: Any, folder: str) -> set[int]:
    path = _path(spark, folder)
    names = [one.getPath().getName() for one in files.listStatus(path)] if files.exists(path) else []
    return {int(name) for name in names if re.fullmatch(r"\d+", name)}


def _read(spark: SparkSession, files: Any, path: str) -> str:
    stream = files.open(_path(spark, path))
    try:
        text: str = _jvm(spark).org.apache.commons.io.IOUtils.toString(stream, "UTF-8")
        return text
    finally:
        stream.close()


def _delete(spark: SparkSession, folder: str) -> None:
    _files(spark, folder).delete(_path(spark, folder), True)


def _files(spark: SparkSession, path: str) -> Any:
    return _path(spark, path).getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())


def _path(spark: SparkSession, path: str) -> Any:
    return _jvm(spark).org.apache.hadoop.fs.Path(path)


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm
