"""Tables and steps of earlier releases that no release reads any more. Their folders hold text, so they are deleted."""

import logging

from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from spark_jobs.runner.storage_files import delete, exists

# Written by `link_documents` before it was removed: names in the index bring multi-hop search the same passages.
RETIRED_TABLES = ("silver.titles", "silver.mentions", "silver.links")
RETIRED_STEPS = ("link_documents",)

log = logging.getLogger("spark_jobs")


def drop_retired(spark: SparkSession, settings: Settings) -> int:
    """Delete the retired tables with all tenants' rows, and the checkpoints of the retired steps.

    Returns how many tables were deleted. A checkpoint that nothing moves on would hold back every VACUUM of the table
    that it follows.
    """
    root = settings.warehouse_root
    dropped = 0
    for name in RETIRED_TABLES:
        folder = f"{root}/{name.replace('.', '/')}"
        if exists(spark, f"{folder}/_delta_log"):  # a folder of that name without a log is no table of ours
            delete(spark, folder)
            log.warning("%s deleted: this release neither writes nor reads it", name)
            dropped += 1
    for step in RETIRED_STEPS:
        delete(spark, f"{root}/_checkpoints/{step}")
    return dropped
