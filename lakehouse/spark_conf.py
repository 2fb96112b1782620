"""What Spark must know before its JVM starts: Delta's JARs, JVM flags, and where driver and executors run.

`spark-submit --conf` of every job takes it, and so does a session that is built in this process. It imports neither
Spark nor Delta, for DAG files read it at each parse.
"""

import sys

from lakehouse.settings import Settings

# A job lives for seconds: the first compiler alone takes a third off its processor time. Alone it gets room for 48 MB
# of code, which Spark and Delta fill: the JVM then sweeps and compiles for ever.
SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC"
# A kept driver has small jobs too, and its first job waits for the compiler; it gives memory back between jobs.
LONG_LIVED_JVM = f"{SHORT_LIVED_JVM} -XX:MinHeapFreeRatio=10 -XX:MaxHeapFreeRatio=30"

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
# The package asks for 80 MB more (Hadoop, Parquet, Jackson, log4j …) that Spark brings itself, in newer versions.
_DELTA_JARS = (
    "io.delta_delta-spark_4.2_2.13-4.4.0.jar",
    "io.delta_delta-storage-4.4.0.jar",
    "io.delta_delta-kernel-api-4.4.0.jar",
    "io.delta_delta-kernel-defaults-4.4.0.jar",
    "io.delta_delta-kernel-unitycatalog-4.4.0.jar",
    "io.unitycatalog_unitycatalog-client-0.6.0.jar",
    "io.unitycatalog_unitycatalog-hadoop-0.6.0.jar",
)
_BROUGHT_BY_SPARK = (
    "com.fasterxml.jackson.*:*",
    "com.github.luben:*",
    "com.google.code.findbugs:*",
    "commons-*:*",
    "io.airlift:*",
    "javax.annotation:*",
    "org.apache.hadoop:hadoop-client-*",
    "org.apache.logging.log4j:*",
    "org.apache.parquet:*",
    "org.locationtech.jts:*",
    "org.roaringbitmap:*",
    "org.slf4j:*",
    "org.xerial.snappy:*",
)


def spark_conf(settings: Settings) -> dict[str, str]:
    """What Spark must know before its JVM starts: `spark-submit --conf` of every job, and of sessions in tests."""
    conf = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.driver.memory": settings.spark_driver_memory,
        **_packages(settings),
    }
    if not settings.spark_is_local:
        conf |= _cluster_conf(settings)
    else:
        conf |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.pyspark.python": sys.executable,
            "spark.driver.extraJavaOptions": SHORT_LIVED_JVM,
        }
    return conf


def embedding_conf(settings: Settings) -> dict[str, str]:
    """`spark_conf` of a job that embeds: its executors have a GPU each, where embedding uses one.

    No task asks for it but the embedding stage's (`spark_jobs.index.embed`). Where executors come and go, that
    stage asks for executors with GPUs too, and the job's others have none.
    """
    if settings.spark_is_local or not settings.spark_gpus_per_task or settings.spark_dynamic_allocation:
        return spark_conf(settings)
    return spark_conf(settings) | {"spark.executor.resource.gpu.amount": "1"}


def _cluster_conf(settings: Settings) -> dict[str, str]:
    conf = {
        "spark.pyspark.python": settings.spark_python or sys.executable,
        "spark.pyspark.driver.python": sys.executable,
        "spark.executor.memory": settings.spark_executor_memory,
        "spark.dynamicAllocation.enabled": str(settings.spark_dynamic_allocation).lower(),
    }
    if settings.spark_executor_cores:
        conf["spark.executor.cores"] = str(settings.spark_executor_cores)
    return conf


def _packages(settings: Settings) -> dict[str, str]:
    jars = [settings.cache / "ivy" / "jars" / name for name in _DELTA_JARS]
    if not settings.spark_packages and all(jar.exists() for jar in jars):  # spares seconds, and needs no network
        if settings.spark_is_local:
            return {"spark.driver.extraClassPath": ":".join(map(str, jars))}
        return {"spark.jars": ",".join(map(str, jars))}  # executors fetch them from the driver
    return {
        "spark.jars.packages": ",".join(filter(None, (DELTA_PACKAGE, settings.spark_packages))),
        "spark.jars.excludes": ",".join(_BROUGHT_BY_SPARK),
        "spark.jars.ivy": str(settings.cache / "ivy"),
    }
