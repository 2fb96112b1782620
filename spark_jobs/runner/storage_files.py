"""Files and folders on any storage that Spark reads, by Hadoop's own file systems.

PySpark gives no public way to them. So this is the only file of the jobs that reaches into its JVM for files.
"""

from collections.abc import Iterator
from typing import Any

from pyspark.sql import SparkSession


def exists(spark: SparkSession, path: str) -> bool:
    """Whether a file or folder is there."""
    files, hadoop_path = _opened(spark, path)
    return bool(files.exists(hadoop_path))


def delete(spark: SparkSession, path: str) -> None:
    """Delete a file, or a folder with everything in it. A missing path is no error."""
    files, hadoop_path = _opened(spark, path)
    files.delete(hadoop_path, True)


def child_names(spark: SparkSession, folder: str) -> list[str]:
    """Names of the files and folders in a folder; none where it is missing."""
    files, hadoop_path = _opened(spark, folder)
    if not files.exists(hadoop_path):
        return []
    return [status.getPath().getName() for status in files.listStatus(hadoop_path)]


def matching_paths(spark: SparkSession, pattern: str) -> Iterator[str]:
    """Paths that a glob pattern of Hadoop matches, e.g. `s3a://lake/_checkpoints/*/acme`."""
    files, hadoop_pattern = _opened(spark, pattern)
    for status in files.globStatus(hadoop_pattern) or ():
        yield status.getPath().toString()


def read_text(spark: SparkSession, path: str) -> str:
    """The content of a small file as UTF-8."""
    files, hadoop_path = _opened(spark, path)
    stream = files.open(hadoop_path)
    try:
        return str(_jvm(spark).org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
    finally:
        stream.close()


def modified_at(spark: SparkSession, path: str) -> float:
    """When a file was written, in seconds since 1970."""
    files, hadoop_path = _opened(spark, path)
    return float(files.getFileStatus(hadoop_path).getModificationTime()) / 1000


def _opened(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Hadoop's file system of a path, and the path as Hadoop's object."""
    hadoop_path = _jvm(spark).org.apache.hadoop.fs.Path(path)
    return hadoop_path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()), hadoop_path


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm
