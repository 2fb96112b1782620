"""Spark: the master, memory and cores of driver and executors, GPUs, time limits."""

from decimal import Decimal

from pydantic import Field

from lakehouse.settings.base import SettingsGroup


class SparkSettings(SettingsGroup, frozen=True):
    """Spark: the master, memory and cores of driver and executors, GPUs, time limits."""

    spark_master: str = Field("local[2]", description="Spark master of every job.")
    spark_driver_memory: str = Field(
        "2g", description="JVM heap of the driver; in local mode the driver is also the executor."
    )
    spark_packages: str = Field(
        "",
        description="More Maven packages for Spark, comma-separated, e.g. "
        "org.apache.hadoop:hadoop-aws:3.5.0 for s3a://….",
    )
    spark_python: str = Field(
        "",
        description="Path of Python on a cluster's executors, with the pinned environment. Empty: the driver's path.",
    )
    spark_executor_memory: str = Field(
        "4g",
        description="JVM heap of an executor of a cluster. Its Python workers need as much again for the model, and "
        "LAKEHOP_DOCUMENT_MEMORY_MB each while they convert documents.",
    )
    spark_executor_cores: int = Field(
        0,
        ge=0,
        description="Cores of an executor of a cluster, which is also its number of parallel tasks. 0: all cores.",
    )
    spark_dynamic_allocation: bool = Field(
        False,
        description="Use dynamic allocation on a cluster; GPUs are held only while embedding.",
    )
    spark_keep_driver: bool = Field(
        True,
        description="`lakehop up` keeps a Spark driver for all jobs of a local master: a changed document is found in "
        "seconds. It holds the memory of LAKEHOP_SPARK_DRIVER_MEMORY and the embedding model.",
    )
    spark_gpus_per_task: Decimal = Field(
        Decimal(0),
        ge=0,
        le=1,
        description="GPUs per embedding task, 0 to 1, e.g. 0.5. 0: embed on the CPU. On a cluster, each executor that "
        "embeds "
        "has one GPU.",
    )
    spark_task_timeout_s: int = Field(
        21600,
        gt=0,
        description="Time limit of a Spark task of a DAG, seconds. A task that hangs would block the writer pool, and "
        "with it every other ingest.",
    )

    @property
    def spark_is_local(self) -> bool:
        """True when driver and executors are one JVM on this machine."""
        return self.spark_master.startswith("local")
