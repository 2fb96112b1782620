"""The message of a failed job: the error that our code raised, or the error of the storage under Spark.

Spark wraps the error of a task in several errors of its own, and the useful line is at the bottom of their traces.
"""

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from lakehouse import errors
from lakehouse.errors import LakehopError, Unavailable
from lakehouse.storage.delta import first_line

FAILURES = (LakehopError, PySparkException, Py4JJavaError)
"""Errors that a step may raise and `explain` may know."""
_OURS = re.compile(r"^lakehouse\.errors\.(\w+): (.+)$", re.MULTILINE)
_CONCURRENT = re.compile(r"DELTA_CONCURRENT_\w+|CONCURRENT_STREAM_LOG_UPDATE|\bConcurrent\w+Exception\b")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_OBJECT_STORE = re.compile(
    r"^(?:Caused by: )?[\w.$]+(?:Exception|Error): .*s3a://.*$"
    r"|^(?:Caused by: )?(?:org\.apache\.hadoop\.fs\.s3a|software\.amazon\.awssdk)\.[\w.$]+: .*$",
    re.MULTILINE,
)


def explain(error: Exception) -> tuple[type[LakehopError], str] | None:
    """Class and message of an error for people; None where only the trace helps."""
    if isinstance(error, LakehopError):
        return type(error), str(error)
    text = f"{error}\n{getattr(error, '_stackTrace', None) or ''}"  # Spark leaves the causes out of the message
    if ours := _OURS.findall(text):
        name, message = ours[-1]
        return getattr(errors, name, LakehopError), message
    if _CONCURRENT.search(text):
        return LakehopError, (
            "another job wrote at the same time, so this one wrote nothing more. Run it again once that one has ended, "
            f"with the same --run-id, or start jobs by Airflow, where they wait for each other. {first_line(error)}"
        )
    if full := _DISK_FULL.search(text):
        return Unavailable, (
            f"a disk is full: {full[0]}. Free space where LAKEHOP_WAREHOUSE lies, and in Spark's spark.local.dir, and "
            "run this again: nothing of the step was committed, and what was before is as it was."
        )
    if store := _OBJECT_STORE.search(text):
        return Unavailable, (
            f"the object store refused, or did not answer: {store[0][:500]}. Check it, LAKEHOP_S3_ENDPOINT and the "
            "keys, and run this again: nothing of the step was committed."
        )
    return None
