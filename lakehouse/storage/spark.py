"""Spark with Delta: the session of every job, and the declared tables as Spark sees them.

Local masters get settings for small data. Delta's defaults (50 partitions to replay a log, 200 to shuffle) suit a
cluster; on two cores they turn a merge of ten rows into ten seconds of scheduling. The driver sends our packages to the
executors of a cluster; the libraries that they import must be installed there.
"""

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.errors import Unavailable
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.spark_conf import spark_conf
from lakehouse.tables import Table, Type

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
    # A document may have megabytes, so batches for Python are bounded by bytes as well as by rows.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(32 * 1024 * 1024),
    "spark.python.worker.reuse": "true",
    "spark.speculation": "false",  # a speculative copy of a task would be a second writer in Milvus
}
_LOCAL = {
    "spark.sql.adaptive.enabled": "false",  # for small data, replanning after each stage costs more than it saves
    # A job has a hundred small queries: compiling Java for each costs more than interpreting it.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.databricks.delta.snapshotPartitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
_CLUSTER = {
    # Shuffle before writing: otherwise many tasks write many small files to many partitions.
    "spark.databricks.delta.optimizeWrite.enabled": "true",
}
_PACKAGES_FOR_TASKS = ("lakehouse", "spark_jobs")


def spark_session(settings: Settings, app_name: str, more: Mapping[str, str] | None = None) -> SparkSession:
    """The process's session with Delta, UTC and Arrow; under spark-submit it extends the submitted configuration.

    `more`: configuration that replaces ours. Raises Unavailable when the machine has no Java.
    """
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise Unavailable("spark", "Spark needs a JDK, 17 or newer; set JAVA_HOME or put `java` on PATH.")
    # Outside spark-submit, Spark ignores `spark.pyspark.python` and starts the first `python3` on PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(app_name).master(settings.spark_master)
    conf = spark_conf(settings) | _EVERYWHERE | _storage_conf(settings)
    conf |= (_LOCAL if settings.spark_is_local else _CLUSTER) | dict(more or {})
    for name, value in conf.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    if settings.spark_is_local:
        set_session_conf(spark)
    else:
        spark.sparkContext.addPyFile(_packed_code())
    return spark


def set_session_conf(spark: SparkSession) -> None:
    """What each session of a local Spark needs, also a further session of one process."""
    spark.conf.set("spark.sql.shuffle.partitions", str(spark.sparkContext.defaultParallelism))


def _storage_conf(settings: Settings) -> dict[str, str]:
    """Options of S3A. Set in the driver's process, because every user of a machine can read a command line.

    If the store stops answering, a task fails within minutes; with S3A's defaults (200 s, five attempts, seven retries)
    it would hang for far longer.
    """
    given = {
        "endpoint": settings.s3_endpoint,
        "endpoint.region": settings.s3_region,
        "access.key": settings.s3_access_key.get_secret_value(),
        "secret.key": settings.s3_secret_key.get_secret_value(),
        "path.style.access": "true" if settings.s3_endpoint else "",  # only Amazon has a host name for each bucket
        "connection.establish.timeout": "10s",
        "connection.timeout": "30s",
        "connection.request.timeout": "60s",
        "attempts.maximum": "0",  # attempts of the SDK, which S3A multiplies by its own
        "retry.limit": "3",
        # Hadoop's new default reads ahead in threads that ignore these limits.
        "input.stream.type": "classic",
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in given.items() if value}


def _packed_code() -> str:
    """Path of a ZIP of the packages that tasks import; it is deleted when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="lakehop-code-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    packed = folder / "lakehop.zip"
    with ZipFile(packed, "w") as archive:
        for package in _PACKAGES_FOR_TASKS:
            for file in sorted((PROJECT_ROOT / package).rglob("*.py")):
                archive.write(file, file.relative_to(PROJECT_ROOT))
    return str(packed)


def struct_type(table: Table) -> T.StructType:
    """The table's columns in order, as Spark types."""
    return T.StructType([T.StructField(c.name, SPARK_TYPES[c.type], c.nullable) for c in table.columns])


def read(spark: SparkSession, settings: Settings, table: Table) -> DataFrame:
    """The table at its newest version."""
    return spark.read.format("delta").load(table.path(settings.warehouse_root))


def append(settings: Settings, table: Table, rows: DataFrame) -> None:
    """Add rows that have the table's columns, in one commit."""
    rows.write.format("delta").mode("append").save(table.path(settings.warehouse_root))


def delta_table(spark: SparkSession, settings: Settings, table: Table) -> DeltaTable:
    """The table as a target of merges."""
    return DeltaTable.forPath(spark, table.path(settings.warehouse_root))
