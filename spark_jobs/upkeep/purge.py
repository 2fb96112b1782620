"""All files in a table's folder, also files that Delta's log no longer names: list, read, delete the unused.

Only one tenant's part of a table is purged. A VACUUM of the whole table without retention would delete files that the
change feeds of other tenants still need.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from pyspark.sql import types as T  # noqa: N812

from lakehouse.settings import Settings
from lakehouse.storage.spark import struct_type
from lakehouse.tables import Table
from spark_jobs.runner.storage_files import exists

# Where tenants share files, or services write, a file that no commit names may belong to a commit in progress.
_WRITER_MAY_RUN = "INTERVAL 1 HOUR"
_ACTION = "STRUCT<path: STRING>"
_INVENTORY = "path STRING, length LONG, isDir BOOLEAN, modificationTime LONG"
_FILES = "path STRING, length LONG, modificationTime TIMESTAMP"


def purge(spark: SparkSession, settings: Settings, table: Table, tenant_id: str) -> int:
    """Delete the tenant's files that the newest version does not name; without partitions, all tenants' files.

    These include change data, and files of killed writers. Returns how many files were deleted.
    """
    path = table.path(settings.warehouse_root)
    files = files_on_disk(spark, settings, table, tenant_id)
    if not table.partition_by or table.written_by_services:
        files = files.join(_named_in_log(spark, path), on="name", how="left").filter(
            F.col("is_named") | (F.col("modificationTime") < F.expr(f"current_timestamp() - {_WRITER_MAY_RUN}"))
        )
    inventory = files.select("path", "length", F.unix_millis("modificationTime")).collect()
    in_use = {_name(path) for path in spark.read.format("delta").load(path).inputFiles()}
    unused = sum(_name(found) not in in_use for found, _, _ in inventory)
    if unused:
        _vacuum(spark, path, [(found, length, False, modified) for found, length, modified in inventory])
    return unused


def rows_on_disk(spark: SparkSession, settings: Settings, table: Table, tenant_id: str) -> DataFrame:
    """Every row of the tenant's files, current or not, with its `_file`; without partitions, of all tenants' files."""
    paths = [row["path"] for row in files_on_disk(spark, settings, table, tenant_id).collect()]
    schema = T.StructType([T.StructField(field.name, field.dataType) for field in struct_type(table)])
    if not paths:
        return spark.createDataFrame([], schema).withColumn("_file", F.lit(""))
    reader = spark.read.schema(schema).option("recursiveFileLookup", "true").option("__globPaths__", "false")
    rows = reader.parquet(*paths).withColumn("_file", F.col("_metadata.file_path"))
    # the value of a partition is in the name of its folder, not in the file
    return rows.withColumn("tenant_id", F.lit(tenant_id)) if table.partition_by else rows


def files_on_disk(spark: SparkSession, settings: Settings, table: Table, tenant_id: str) -> DataFrame:
    """The tenant's Parquet files as path, name, length, modificationTime; without partitions, all tenants' files."""
    root = table.path(settings.warehouse_root)
    below = f"/tenant_id={tenant_id}" if table.partition_by else ""
    folders = [f"{root}{below}", f"{root}/_change_data{below}"]
    there = [folder for folder in folders if exists(spark, folder)]
    if not there:
        return spark.createDataFrame([], f"{_FILES}, name STRING")
    listed = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .option("pathGlobFilter", "*.parquet")
        .option("__globPaths__", "false")
        .load(there)
    )
    return listed.select("path", "length", "modificationTime", _file_name("path").alias("name"))


def _vacuum(spark: SparkSession, path: str, inventory: Sequence[tuple[str, int, bool, int]]) -> None:
    checked = "spark.databricks.delta.retentionDurationCheck.enabled"
    spark.createDataFrame(inventory, _INVENTORY).createOrReplaceTempView("_purge_inventory")
    spark.conf.set(checked, "false")
    try:
        files = "SELECT path, length, isDir, modificationTime FROM _purge_inventory"
        spark.sql(f"VACUUM delta.`{path}` USING INVENTORY ({files}) RETAIN 0 HOURS")
    finally:
        spark.conf.unset(checked)
        spark.catalog.dropTempView("_purge_inventory")


def _named_in_log(spark: SparkSession, path: str) -> DataFrame:
    """Names of the files that any commit in the log added, removed or wrote as change data."""
    actions = (
        spark.read.schema(f"add {_ACTION}, remove {_ACTION}, cdc {_ACTION}")
        .option("pathGlobFilter", "*.json")
        .option("__globPaths__", "false")
        .json(f"{path}/_delta_log")
    )
    named = actions.select(_file_name(F.coalesce("add.path", "remove.path", "cdc.path")).alias("name"))
    return named.filter("name IS NOT NULL").distinct().withColumn("is_named", F.lit(True))


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _file_name(path: str | Column) -> Column:
    return F.element_at(F.split(path, "/"), -1)
