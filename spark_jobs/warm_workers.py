"""PySpark's daemon with the modules of an ingest imported, for the workers of the kept driver.

Spark ends a worker that was idle for a minute, and the next one would spend seconds on the same imports. The embedding
model is not among them: the kept driver itself embeds a few texts, and many texts are worth the wait.
"""

from pyspark.daemon import manager

import spark_jobs.documents.chunk
import spark_jobs.documents.parse
import spark_jobs.index.sync  # noqa: F401  forked into every worker

if __name__ == "__main__":
    manager()
