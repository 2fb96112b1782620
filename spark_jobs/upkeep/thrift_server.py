"""The Spark Thrift server: every table and gold view over JDBC, for beeline and BI tools.

Started on demand (`lakehop thrift start`), because a JVM that nobody queries is a gigabyte wasted. The names live in
the application's own catalog, in memory: they are made from the declarations at each start, so no metastore has to
be kept in step with them. It listens on loopback and knows no passwords; put a gateway with a login in front of it
before other machines may come in.
"""

import signal

from pyspark.sql import SparkSession

from lakehouse.analytics.gold import VIEWS
from lakehouse.settings import Settings, load_settings
from lakehouse.storage.delta import ensure_tables
from lakehouse.storage.spark import spark_session
from lakehouse.tables import TABLES

_STOP = {signal.SIGTERM, signal.SIGINT}
_SERVER = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"


def register_tables(spark: SparkSession, settings: Settings) -> None:
    """Name every Delta table and gold view as `schema.table`; all are views, so a stray DELETE in a client fails."""
    names = [table.name for table in TABLES] + [view.name for view in VIEWS]
    for schema in sorted({name.split(".")[0] for name in names}):
        spark.sql(f"CREATE DATABASE IF NOT EXISTS {schema}")
    for table in TABLES:
        path = table.path(settings.warehouse_root)
        spark.sql(f"CREATE OR REPLACE VIEW {table.name} AS SELECT * FROM delta.`{path}`")  # noqa: S608 - our own path
    for view in VIEWS:
        spark.sql(f"CREATE OR REPLACE VIEW {view.name} AS {view.sql}")


def main() -> None:
    settings = load_settings()
    ensure_tables(settings)
    spark = spark_session(settings, "lakehop-thrift")
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("hive.server2.thrift.bind.host", "127.0.0.1")
    hadoop.set("hive.server2.thrift.port", str(settings.thrift_port))
    register_tables(spark, settings)
    server = getattr(spark.sparkContext._jvm, _SERVER)
    server.startWithSparkSession(spark._jsparkSession, True)
    # Blocked first, so that a signal waits for sigwait instead of killing Python over the JVM's head.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    signal.sigwait(_STOP)
    spark.stop()


if __name__ == "__main__":
    main()
