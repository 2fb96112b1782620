"""Replay of refused documents: the part of an input that a replay reads, and the rejections that a run settles.

A refused document has one open row. If it is refused again, the later run's row replaces the earlier row, so open rows
count documents and not attempts. Any run of the source, replay or not, settles a row when it accepts a document of that
id, or reads that file or line and has nothing to refuse there.
"""

from argparse import Namespace
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.storage.spark import delta_table, read
from lakehouse.tables import QUARANTINE
from spark_jobs.sources.inputs import input_uri

_MAX_IDS = 10_000  # they are part of the plan of the query that reads the folder


def refused_earlier(spark: SparkSession, settings: Settings, args: Namespace) -> DataFrame:
    """Open rows of the runs to replay. A retry also gets the rows that its own run has refused or resolved."""
    is_open = F.col("resolved_by").isNull() & F.col("ingest_run_id").isin([*args.replay, args.run_id])
    return _of_source(spark, settings, args).filter(is_open | (F.col("resolved_by") == args.run_id))


def ids_to_read(refused: DataFrame) -> set[str] | None:
    """Ids of the refused documents, the only files of a folder to read. None if there are too many ids.

    `replayed_documents` leaves out the other documents in both cases.
    """
    rows = refused.filter("doc_id IS NOT NULL").select("doc_id").limit(_MAX_IDS + 1).collect()
    return {row["doc_id"] for row in rows} if len(rows) <= _MAX_IDS else None


def replayed_documents(spark: SparkSession, parsed: DataFrame, refused: DataFrame, paths: Sequence[str]) -> DataFrame:
    """The parsed documents at a refused place, or with a refused id, or with an id below it.

    Ids below are of files in a refused archive or folder.
    """
    inputs = spark.createDataFrame(
        [(number, input_uri(path)) for number, path in enumerate(paths)], "input INT, uri STRING"
    )
    here = F.lit(True)
    lines = refused.filter("number > 0").join(inputs, on="uri").select("input", "number", here.alias("_line"))
    files = refused.filter("number <= 0").select("uri", "number", here.alias("_file"))
    refused_ids = refused.filter("doc_id IS NOT NULL").select(F.col("doc_id").alias("_above")).distinct()
    parts = F.split("doc_id", "/")
    above = F.transform(F.sequence(F.lit(1), F.size(parts)), lambda n: F.array_join(F.slice(parts, 1, n), "/"))
    paths_above = parsed.filter("doc_id IS NOT NULL").select("doc_id", F.explode(above).alias("_above"))
    ids = paths_above.join(refused_ids, on="_above", how="inner").select("doc_id", here.alias("_id"))
    marked = parsed.join(lines.distinct(), on=["input", "number"], how="left")
    marked = marked.join(files.distinct(), on=["uri", "number"], how="left").join(ids.distinct(), "doc_id", how="left")
    return marked.filter("_line OR _file OR _id").select(*parsed.columns)


def settle_quarantine(spark: SparkSession, settings: Settings, args: Namespace, compared: DataFrame) -> None:
    """Delete open rows of other runs that this run refused again; set `resolved_by` of rows that it settled."""
    is_open = F.col("resolved_by").isNull() & (F.col("ingest_run_id") != args.run_id)
    if args.replay:
        is_open &= F.col("ingest_run_id").isin(args.replay)
    rows = _of_source(spark, settings, args).filter(is_open)
    if rows.isEmpty():
        return
    settled = settled_rows(rows, compared, args.path).select(*QUARANTINE.key, "_again")
    (
        delta_table(spark, settings, QUARANTINE)
        .alias("known")
        .merge(
            settled.alias("new"),
            f"known.tenant_id = '{args.tenant}' AND known.ingest_run_id = new.ingest_run_id "
            "AND known.quarantine_id = new.quarantine_id",
        )
        .whenMatchedDelete("new._again")
        .whenMatchedUpdate(set={"resolved_by": F.lit(args.run_id)})
        .execute()
    )


def settled_rows(rows: DataFrame, compared: DataFrame, paths: Sequence[str]) -> DataFrame:
    """The open rows that this run read again. `_again`: it refused them again."""
    is_refused = F.col("state") == "quarantined"
    again = compared.filter(is_refused).select("uri", "number", F.lit(True).alias("_again")).distinct()
    taken = compared.filter(~is_refused).select("doc_id", F.lit(True).alias("_taken")).distinct()
    met = rows.join(again, on=["uri", "number"], how="left").join(taken, on="doc_id", how="left")
    was_read = reduce(Column.__or__, (_lies_at(input_uri(path)) for path in paths))
    return met.filter(F.col("_again") | F.col("_taken") | was_read).fillna({"_again": False})


def _lies_at(uri: str) -> Column:
    return (F.col("uri") == uri) | F.col("uri").startswith(uri.rstrip("/") + "/")


def _of_source(spark: SparkSession, settings: Settings, args: Namespace) -> DataFrame:
    is_theirs = (F.col("tenant_id") == args.tenant) & (F.col("source") == args.source)
    return read(spark, settings, QUARANTINE).filter(is_theirs)
