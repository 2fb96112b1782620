"""Spark: the master, memory and cores of driver and executors, GPUs, time limits."""

from decimal import Decimal

from pydantic import Field

from lakehouse.settings.base import SettingsGroup


class SparkSettings(SettingsGroup, frozen=True):
    """Spark: the master, memory and cores of driver and executors, GPUs, time limits."""

    spark_master: str = Field("local[2]", description="Spark master of every job.")
    spark_driver_memory: str = Field(
        "2g", description="JVM heap of the driver, which is also the executor in local mode."
    )
    spark_packages: str = Field(
        "",
        description="More Maven packages for Spark, comma-separated; "
        "org.apache.hadoop:hadoop-aws:3.5.0 reads and writes s3a://….",
    )
    spark_python: str = Field(
        "",
        description="Python of the executors of a cluster, with the pinned environment; empty: at the same path as the "
        "driver's.",
    )
    spark_executor_memory: str = Field(
        "4g",
        description="JVM heap of an executor of a cluster; its Python workers take as much again for the model, "
        "and LAKEHOP_DOCUMENT_MEMORY_MB each while they convert.",
    )
    spark_executor_cores: int = Field(
        0, ge=0, description="Cores of an executor of a cluster, and so its tasks at one time; 0: all of its machine's."
    )
    spark_dynamic_allocation: bool = Field(
        False,
        description="Executors of a cluster come and go with the work; then no GPU is held but while texts are "
        "embedded.",
    )
    spark_gpus_per_task: Decimal = Field(
        Decimal(0),
        ge=0,
        le=1,
        description="GPU share of an embedding task; 0: on the CPU. Of a cluster, each executor that embeds has one.",
    )
    spark_task_timeout_s: int = Field(
        21600,
        gt=0,
        description="A Spark task of a DAG is stopped after so long, seconds: one that hangs would hold the pool of "
        "writers, and every other ingest with it.",
    )

    @property
    def spark_is_local(self) -> bool:
        """True when driver and executors are one JVM on this machine."""
        return self.spark_master.startswith("local")
