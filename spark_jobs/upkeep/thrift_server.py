"""The Spark Thrift server: every table and gold view over JDBC, for beeline and BI tools.

`lakehop thrift start` starts it on demand: an idle JVM would waste a gigabyte. The catalog is in memory and made from
the declarations at each start, so there is no metastore to keep up to date. The server listens on loopback and checks
no passwords: put a gateway with a login in front of it before you open it to other machines.
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
    """Register every Delta table and gold view as `schema.table`. All are views, so a DELETE of a client fails."""
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
    # Block first: a signal then waits for sigwait and does not kill Python while the JVM runs.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    signal.sigwait(_STOP)
    spark.stop()


if __name__ == "__main__":
    main()
