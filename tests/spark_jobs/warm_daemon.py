"""PySpark's daemon with the embedding library imported, so that each Python worker is forked with it.

The import takes 25 s of processor time, and Spark ends workers that were idle for a minute: without this, most tests
that embed would pay it again. Jobs pay it once, and those that embed nothing never.
"""

import sentence_transformers  # noqa: F401  forked into every worker
from pyspark.daemon import manager

if __name__ == "__main__":
    manager()
