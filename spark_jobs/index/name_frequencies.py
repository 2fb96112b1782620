"""Count the chunks of a tenant that hold each name and term: `silver.frequencies`, updated from the changed chunks.

A change adds one to the counts of its chunk's keys, or subtracts one, and only those rows are written. No change may be
counted twice, so a row of the table holds the number of the next batch, written in the same commit as the counts.
Maintenance skips batches that hold only changes of other tenants, so the next batch may have any higher number.
"""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows
from lakehouse.storage.spark import delta_table, read
from lakehouse.tables import CHUNKS, FREQUENCIES, Table
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import counted_keys, hashed
from lakehouse.text.names import HEADING_JOINT
from lakehouse.text.search_text import SEARCH_TEXT_VERSION
from spark_jobs.runner.change_feed import for_each_batch, start_over

STEP = "count_names"
RULES = f"4.{SEARCH_TEXT_VERSION}"
"""Version of the rules in `lakehouse.text`, and of its words; raise it to have every tenant counted again."""
NEXT_BATCH = hashed("next batch:")
"""The key of the row whose count is the number of the first batch that is not counted yet."""
_SUMS = "key BIGINT, chunks BIGINT"
_SUMS_SCHEMA = pa.schema([("key", pa.int64()), ("chunks", pa.int64())])


def bring_up_to_date(spark: SparkSession, settings: Settings, tenant_id: str, run_id: str) -> None:
    """Count the changes of the tenant's chunks since the last run."""

    def handle(batch: DataFrame, number: int) -> None:
        if number == 0:
            _replace(settings, tenant_id, _noted(spark, batch, number, run_id))
        elif number >= _next_batch(settings, tenant_id):
            _merge(spark, settings, tenant_id, _noted(spark, batch, number, run_id))

    for_each_batch(spark, settings, CHUNKS, tenant_id, STEP, RULES, handle)


def recount(spark: SparkSession, settings: Settings, tenant_id: str, run_id: str) -> int:
    """Count all of the tenant's chunks again if a count is wrong; return the number of wrong keys."""
    bring_up_to_date(spark, settings, tenant_id, run_id)

    def of_tenant(table: Table) -> DataFrame:
        return read(spark, settings, table).filter(F.col("tenant_id") == tenant_id)

    counted = key_sums(of_tenant(CHUNKS).withColumn("_change_type", F.lit("insert")))
    held = of_tenant(FREQUENCIES).filter(F.col("key") != NEXT_BATCH)
    both = counted.alias("counted").join(held.alias("held"), on="key", how="full")
    wrong = both.filter(~F.col("counted.chunks").eqNullSafe(F.col("held.chunks"))).count()
    if wrong:
        start_over(spark, settings, tenant_id, STEP, RULES)
        bring_up_to_date(spark, settings, tenant_id, run_id)
    return wrong


def key_sums(changes: DataFrame) -> DataFrame:
    """The change of the number of chunks by key, e.g. 2 or -1; keys without a change are left out."""
    is_gone = F.col("_change_type").isin("delete", "update_preimage")
    heading = F.concat_ws(HEADING_JOINT, "heading_path").alias("heading")
    sign = F.when(is_gone, -1).otherwise(1).alias("sign")
    signed = changes.select("title", heading, "text", "source", "doc_id", "uri", "position", sign)
    return signed.mapInArrow(counting, _SUMS).groupBy("key").agg(F.sum("chunks").alias("chunks")).filter("chunks <> 0")


def counting(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A function for `mapInArrow`: texts with a sign in, sums of their keys out."""
    for batch in batches:
        sums: Counter[int] = Counter()
        for row in batch.to_pylist():
            place = Place(row["source"], row["doc_id"], row["uri"])
            for key in counted_keys(row["title"], row["heading"], row["text"], place, begins=row["position"] == 0):
                sums[hashed(key)] += row["sign"]
        yield pa.RecordBatch.from_arrays([list(sums), list(sums.values())], schema=_SUMS_SCHEMA)


def _noted(spark: SparkSession, batch: DataFrame, number: int, run_id: str) -> DataFrame:
    """The sums of a batch, and the number of the next batch."""
    following = spark.createDataFrame([(NEXT_BATCH, number + 1)], _SUMS)
    return key_sums(batch).union(following).withColumn("ingest_run_id", F.lit(run_id))


def _next_batch(settings: Settings, tenant_id: str) -> int:
    rows = read_rows(settings, FREQUENCIES, [("tenant_id", "=", tenant_id), ("key", "=", NEXT_BATCH)], ["chunks"])
    return int(rows[0]["chunks"]) if rows else 0


def _replace(settings: Settings, tenant_id: str, sums: DataFrame) -> None:
    rows = sums.filter("chunks > 0").withColumn("tenant_id", F.lit(tenant_id))
    (
        rows.select(*FREQUENCIES.column_names)
        .write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"tenant_id = '{tenant_id}'")
        .save(FREQUENCIES.path(settings.warehouse_root))
    )


def _merge(spark: SparkSession, settings: Settings, tenant_id: str, sums: DataFrame) -> None:
    total = f"IF(new.key = {NEXT_BATCH}, new.chunks, known.chunks + new.chunks)"
    (
        delta_table(spark, settings, FREQUENCIES)
        .alias("known")
        # the tenant as a constant lets Delta read that partition only
        .merge(sums.alias("new"), f"known.tenant_id = '{tenant_id}' AND known.key = new.key")
        .whenMatchedDelete(f"{total} <= 0")
        .whenMatchedUpdate(set={"chunks": total, "ingest_run_id": "new.ingest_run_id"})
        .whenNotMatchedInsert(
            "new.chunks > 0",
            {
                "tenant_id": F.lit(tenant_id),
                "key": "new.key",
                "chunks": "new.chunks",
                "ingest_run_id": "new.ingest_run_id",
            },
        )
        .execute()
    )
