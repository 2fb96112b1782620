"""Spark with Delta: the session of every job, and the declared tables as Spark sees them.

Local masters get settings for small data. Delta's defaults (50 partitions to replay a log, 200 to shuffle) suit a
cluster; on two cores they turn a merge of ten rows into ten seconds of scheduling.
"""

import os
import shutil
import sys
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.errors import Unavailable
from lakehouse.settings import Settings
from lakehouse.tables import Table, Type

if TYPE_CHECKING:
    from delta.tables import DeltaTable

SPARK_TYPES: dict[Type, T.DataType] = {
    Type.STRING: T.StringType(),
    Type.STRINGS: T.ArrayType(T.StringType()),
    Type.INT: T.IntegerType(),
    Type.INTS: T.ArrayType(T.IntegerType()),
    Type.LONG: T.LongType(),
    Type.DOUBLE: T.DoubleType(),
    Type.BOOL: T.BooleanType(),
    Type.TIME: T.TimestampType(),
    Type.MONEY: T.DecimalType(18, 10),
    Type.VECTOR: T.ArrayType(T.FloatType()),
}

_EVERYWHERE = {
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A document may have megabytes: a batch for Python is bounded by its bytes, and small ones by their number.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(32 * 1024 * 1024),
    "spark.python.worker.reuse": "true",
    "spark.speculation": "false",  # a second copy of a task would be a second writer in Milvus
}
_LOCAL = {
    "spark.sql.adaptive.enabled": "false",  # planning again after each stage costs more than it finds in small data
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


def spark_session(settings: Settings, app_name: str) -> SparkSession:
    """The process's session: Delta, UTC, Arrow. Under spark-submit it takes over what `Settings.spark_conf` gave.

    Raises Unavailable when the machine has no Java.
    """
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise Unavailable("spark", "Spark needs a JDK, 17 or newer; set JAVA_HOME or put `java` on PATH.")
    # Outside spark-submit, `spark.pyspark.python` is not read, and workers would be whatever `python3` is on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(app_name).master(settings.spark_master)
    conf = settings.spark_conf | _EVERYWHERE
    if settings.spark_is_local:
        conf |= _LOCAL
    for name, value in conf.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if settings.spark_is_local:
        spark.conf.set("spark.sql.shuffle.partitions", str(spark.sparkContext.defaultParallelism))
    return spark


def struct_type(table: Table) -> T.StructType:
    """The table's columns in order, as Spark types."""
    return T.StructType([T.StructField(c.name, SPARK_TYPES[c.type], c.nullable) for c in table.columns])


def read(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """The table at its newest version."""
    return spark.read.format("delta").load(table.path(settings.warehouse_root))


def delta_table(spark: SparkSession, settings: Settings, table: Table) -> "DeltaTable":
    """The table as a target of merges."""
    from delta.tables import DeltaTable

    return DeltaTable.forPath(spark, table.path(settings.warehouse_root))
