"""Load the spooled call records into `bronze.llm_calls` and, each call exactly once, into `silver.llm_calls`.

The sealed segments are a file stream with a checkpoint, so each is read once. A kill between write and checkpoint makes
the stream read a segment again, and the merge by `call_id` makes that harmless. A segment is deleted only after its
batch is committed. The job runs on the machine of the services, or on a volume that it shares with them.
"""

from argparse import Namespace
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from pyspark.sql import types as T  # noqa: N812

from lakehouse.costs.call_records import Spool
from lakehouse.settings import Settings
from lakehouse.storage.spark import append, delta_table, struct_type
from lakehouse.tables import LLM_CALLS, LLM_CALLS_RAW, QUARANTINE, Type
from spark_jobs.runner.counts import Counts

_MONEY = [field.name for field in struct_type(LLM_CALLS) if isinstance(field.dataType, T.DecimalType)]
# Money is text in a record: as a JSON number it would pass through a float.
_RECORD = T.StructType(
    [
        T.StructField(field.name, T.StringType() if field.name in _MONEY else field.dataType, field.nullable)
        for field in struct_type(LLM_CALLS)
        if field.name != "loaded_at"
    ]
)
_USD = Type.MONEY.value
_REASON = (
    "The line is no whole call record: cut off by a crash before it was acknowledged, or damaged. "
    "Nothing to do for a cut; for damage, read the segment and ask whose disk it was."
)
_NO_TENANT = "-"  # an unreadable line names no tenant; no tenant can have this id


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Seal the spool and load all sealed segments; return how many there were."""
    Spool.seal(settings.spool_dir)
    sealed = settings.spool_dir / "sealed"
    segments = sorted(sealed.glob("*.jsonl"))
    if not segments:
        return {"segments": 0}

    def load(lines: DataFrame, batch_id: int) -> None:
        load_lines(spark, settings, lines)

    (
        spark.readStream.format("text")
        .load(sealed.resolve().as_uri())
        .select("value", F.col("_metadata.file_path").alias("spool_file"))
        .writeStream.foreachBatch(load)
        .option("checkpointLocation", f"{settings.warehouse_root}/_checkpoints/load_llm_calls")
        .trigger(availableNow=True)
        .start()
        .awaitTermination()
    )
    for segment in segments:  # listed before the stream began, so it has committed all of them
        segment.unlink(missing_ok=True)
    return {"segments": len(segments)}


def load_lines(spark: SparkSession, settings: Settings, lines: DataFrame) -> None:
    """Write one batch of spooled lines (`value`, `spool_file`); writing a batch twice leaves silver unchanged."""
    parsed = parse_lines(lines).persist()
    try:
        append(settings, LLM_CALLS_RAW, raw_rows(parsed))
        append(settings, QUARANTINE, quarantine_rows(parsed))
        (
            delta_table(spark, settings, LLM_CALLS)
            .alias("known")
            .merge(call_rows(parsed).alias("new"), "known.call_id = new.call_id")
            .whenNotMatchedInsertAll()
            .execute()
        )
    finally:
        parsed.unpersist()


def parse_lines(lines: DataFrame) -> DataFrame:
    """Add `_call`, the line as a record, and `_is_whole`: the record has every column that silver requires."""
    required = [f"_call.{field.name}" for field in _RECORD if not field.nullable]
    has_all = reduce(Column.__and__, (F.col(name).isNotNull() for name in required))
    money_is_exact = reduce(
        Column.__and__, (F.expr(f"try_cast(_call.{name} AS {_USD})").isNotNull() for name in _MONEY)
    )
    return (
        lines.withColumn("_call", F.from_json("value", _RECORD))
        .withColumn("_is_whole", F.coalesce(has_all & money_is_exact, F.lit(False)))
        .withColumn("_now", F.current_timestamp())
    )


def raw_rows(parsed: DataFrame) -> DataFrame:
    """Whole lines as rows of `bronze.llm_calls`."""
    return parsed.filter("_is_whole").select(
        F.col("_call.call_id").alias("call_id"),
        F.col("value").alias("record"),
        "spool_file",
        F.col("_now").alias("loaded_at"),
    )


def call_rows(parsed: DataFrame) -> DataFrame:
    """Whole lines as rows of `silver.llm_calls`, one for each call: a record that was spooled twice is one call."""
    calls = parsed.filter("_is_whole").select("_call.*", F.col("_now").alias("loaded_at"))
    exact = {name: F.col(name).cast(_USD) for name in _MONEY}
    return calls.dropDuplicates(["call_id"]).withColumns(exact).select(*LLM_CALLS.column_names)


def quarantine_rows(parsed: DataFrame) -> DataFrame:
    """Lines without a whole record, as rows of `bronze.quarantine`."""
    return parsed.filter("NOT _is_whole AND trim(value) <> ''").select(
        F.lit("load_llm_calls").alias("ingest_run_id"),
        F.sha2(F.concat_ws("\n", "spool_file", "value"), 256).alias("quarantine_id"),
        F.lit(_NO_TENANT).alias("tenant_id"),
        F.lit("spool").alias("source"),
        F.lit(None).cast("string").alias("doc_id"),
        F.col("spool_file").alias("uri"),
        F.lit(_REASON).alias("reason"),
        F.left("value", F.lit(200)).alias("excerpt"),
        F.col("_now").alias("quarantined_at"),
    )  # without `paths`: no file holds the whole line, so no replay can read it
