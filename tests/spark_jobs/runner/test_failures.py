"""What is said of an error that Spark gives back."""

import pytest

from lakehouse.errors import InvalidInput, LakehopError, Unavailable
from spark_jobs.runner.failures import explain

TRACE = """[TASK_WRITE_FAILED] Task failed while writing rows to s3a://lake/bronze/documents. SQLSTATE: 58030
\tat org.apache.spark.sql.execution.datasources.FileFormatWriter$.executeTask(FileFormatWriter.scala:480)
Caused by: {cause}
\t... 9 more"""


class FromSpark(Exception):
    """As Spark's exceptions are: a message, and a trace beside it."""

    def __init__(self, cause: str) -> None:
        super().__init__("Job aborted due to stage failure.")
        self._stackTrace = TRACE.format(cause=cause)


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("java.io.IOException: No space left on device", "a disk is full: No space left on device"),
        (
            "java.net.SocketTimeoutException: re-open s3a://docs/a.pdf at 0 on s3a://docs/a.pdf: Read timed out",
            "did not answer: Caused by: java.net.SocketTimeoutException: re-open s3a://docs/a.pdf",
        ),
        ("software.amazon.awssdk.core.exception.ApiCallTimeoutException: 60000 millis", "ApiCallTimeoutException"),
    ],
)
def test_an_error_of_the_storage_is_explained(cause: str, said: str) -> None:
    failure = explain(FromSpark(cause))
    assert failure is not None
    assert failure[0] is Unavailable
    assert said in failure[1]


def test_our_own_error_is_told_as_it_is() -> None:
    assert explain(InvalidInput("k=0")) == (InvalidInput, "k=0")
    assert explain(FromSpark("org.apache.spark.api.python.PythonException: …\nlakehouse.errors.InvalidInput: k=0")) == (
        InvalidInput,
        "k=0",
    )
    assert explain(FromSpark("…\nlakehouse.errors.Gone: k=0")) == (LakehopError, "k=0")


def test_of_anything_else_the_trace_has_to_be_read() -> None:
    assert explain(FromSpark("java.lang.NullPointerException")) is None
