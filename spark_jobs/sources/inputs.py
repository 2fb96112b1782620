"""What lies at a path, as one DataFrame of parsed documents and rejections, a row each.

Files of a folder (`spark_jobs.sources.folders`) and objects of a bucket (`spark_jobs.sources.buckets`) are listed on
the driver and read in the tasks. A website is read by one task, so that its server meets one polite reader.
"""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from pyspark.sql import types as T  # noqa: N812

from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from spark_jobs.formats.parsing import Document, Limits, Rejection, parse_line, parse_row, too_large_line
from spark_jobs.sources import buckets
from spark_jobs.sources.files import read_path
from spark_jobs.sources.folders import listing
from spark_jobs.sources.quality import checked
from spark_jobs.sources.website import Bounds, read_website

PARSED = T.StructType(
    [
        # of the line or row in its file, from 1; 0: a whole file; below 0: minus the place of a document in its file
        T.StructField("number", T.LongType(), False),
        T.StructField("doc_id", T.StringType()),
        T.StructField("title", T.StringType()),
        T.StructField("text", T.StringType()),
        T.StructField("uri", T.StringType(), False),  # of a rejection: the file that holds the bytes
        T.StructField("acl_groups", T.ArrayType(T.StringType())),
        T.StructField("content_hash", T.StringType()),
        T.StructField("updated_at", T.TimestampType()),
        T.StructField("reason", T.StringType()),  # NULL for a document
        T.StructField("excerpt", T.StringType()),
        # of a rejection: documents whose ids begin so may be hidden by it, and count as seen
        T.StructField("covers", T.StringType()),
    ]
)
_ARROW = pa.schema(
    [
        ("number", pa.int64()),
        ("doc_id", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("uri", pa.string()),
        ("acl_groups", pa.list_(pa.string())),
        ("content_hash", pa.string()),
        ("updated_at", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
        ("excerpt", pa.string()),
        ("covers", pa.string()),
    ]
)
_ROW_COLUMNS = {
    "id": ("string",),
    "title": ("string", "void"),
    "text": ("string",),
    "groups": ("array<string>", "void"),
    "uri": ("string", "void"),
    "updated_at": ("timestamp", "timestamp_ntz", "string", "void"),
}
"""Columns of a table of documents, and the types that they may have."""
_BUNDLE_FILES = 500
_BATCH_BYTES = 32 * 1024 * 1024
# JSON may write a character of two bytes as \uXXXX, six bytes: only a longer line is too large for certain.
_JSON_EXPANSION = 3

Row = dict[str, Any]
Parsed = tuple[int, Document | Rejection]
"""Number of the line or row, and what became of it."""


class Input(NamedTuple):
    """What lies at a path: `PARSED` rows, and how many files of a folder or bucket are not among them, by why."""

    parsed: DataFrame
    skipped: Counter[str]


def read_input(spark: SparkSession, path: str, settings: Settings, only: Collection[str] | None = None) -> Input:
    """Everything at a path. `InvalidInput` when nothing lies there or it cannot be read.

    `only`: of a folder, no other files than those of these ids, those that hold them, and those that lie below them.
    """
    limits = limits_of(settings)
    if path.startswith(("https://", "http://")):
        return Input(_website(spark, path, limits, settings), Counter())
    path = _as_spark_names_it(path)
    is_remote = "://" in path
    if not is_remote and not os.path.exists(path):
        raise InvalidInput(f"path {path!r}: nothing is there. Name a file or a folder that the Spark driver can read.")
    uri = input_uri(path)
    try:
        if path.endswith((".jsonl", ".ndjson")):
            return Input(_lines(spark, uri, limits), Counter())
        if path.endswith(".parquet"):
            return Input(_rows(spark, uri, limits), Counter())
        if is_remote:
            return _bucket(spark, path, limits, settings, only)
        files, skipped = listing(Path(path), only)
        return Input(_local_files(spark, files, limits), skipped)
    except (PySparkException, Py4JJavaError) as error:  # while Spark looks for the schema and the file's parts
        cause = str(error).partition("Exception: ")[2] or str(error)
        raise InvalidInput(f"path {path!r}: {cause.splitlines()[0]} Repair the input, or name another.") from None


def input_uri(path: str) -> str:
    """The address of a path: every rejection's `uri` is this one, or lies below it."""
    path = _as_spark_names_it(path)
    return path if "://" in path else Path(path).resolve().as_uri()


def _as_spark_names_it(path: str) -> str:
    return "s3a://" + path.removeprefix("s3://") if path.startswith("s3://") else path.removeprefix("file://")


def _spark_path(uri: str) -> str:
    """The address as Spark takes it: it decodes nothing, so the `=` of `dt=2026-11-01` must not be encoded."""
    return unquote(uri) if uri.startswith("file:") else uri


def limits_of(settings: Settings) -> Limits:
    return Limits(
        settings.document_max_bytes,
        settings.file_max_bytes,
        settings.document_seconds,
        settings.document_memory_mb,
        tuple(filter(None, settings.document_languages.split(","))),
    )


def _lines(spark: SparkSession, uri: str, limits: Limits) -> DataFrame:
    limit = _JSON_EXPANSION * limits.document_bytes
    read = spark.read.option("lineSep", "\n").option("__globPaths__", "false").text(_spark_path(uri))
    content, length = F.col("value").cast("binary"), F.octet_length("value")
    lines = (
        read.select(_line_number(read).alias("line"), "value")
        .filter(F.length(F.trim("value")) > 0)
        .select(
            "line",
            length.alias("length"),
            F.when(length <= limit, content).otherwise(content.substr(1, 800)).alias("content"),
        )
    )

    def parse(row: Row) -> Iterator[Parsed]:
        if row["length"] > limit:
            yield row["line"], too_large_line(row["content"], row["length"], limits.document_bytes)
        else:
            yield row["line"], parse_line(row["content"], uri, limits.document_bytes)

    return lines.mapInArrow(_parsing(parse, limits, uri, "line"), PARSED)


def _line_number(lines: DataFrame) -> Column:
    """Number of a line in its file, from 1. A long file is read in several parts, whose lines have to be counted."""
    number = F.monotonically_increasing_id()
    part = F.shiftright(number, 33)
    in_part = number.bitwiseAND(F.lit((1 << 33) - 1)) + 1
    if lines.rdd.getNumPartitions() == 1:
        return in_part
    counts = lines.groupBy(F.spark_partition_id().alias("part")).count().orderBy("part").collect()
    before = accumulate((row["count"] for row in counts), initial=0)
    starts = {row["part"]: start for row, start in zip(counts, before, strict=False)}
    return in_part + F.create_map(*(F.lit(x) for pair in starts.items() for x in pair))[part.cast("int")]


def _rows(spark: SparkSession, uri: str, limits: Limits) -> DataFrame:
    # merging looks into every file: one whose types differ is found here, and not amid the run
    read = spark.read.option("__globPaths__", "false").option("mergeSchema", "true").parquet(_spark_path(uri))
    columns = [name for name in _ROW_COLUMNS if name in read.columns]
    _check_types(uri, read)

    def parse(row: Row) -> Iterator[Parsed]:
        yield row["row_index"] + 1, parse_row(row, uri, limits.document_bytes)

    return read.select(*columns, F.col("_metadata.row_index")).mapInArrow(_parsing(parse, limits, uri, "row"), PARSED)


def _check_types(uri: str, rows: DataFrame) -> None:
    """`InvalidInput` for columns of other types: refused row by row, their documents would seem to be gone."""
    found = {field.name: field.dataType.simpleString() for field in rows.schema}
    for name in ("id", "text"):
        if name not in found:
            raise InvalidInput(f"path {uri!r}: no column {name!r} among {sorted(found)}. Write one, of strings.")
    for name, allowed in _ROW_COLUMNS.items():
        if name in found and found[name] not in allowed:
            raise InvalidInput(
                f"path {uri!r}: column {name!r} is {found[name]}, must be {' or '.join(allowed)}. Cast it, and nothing "
                "else: no row of the file was taken, and none is taken for deleted."
            )


def _local_files(spark: SparkSession, files: pa.Table, limits: Limits) -> DataFrame:
    def parse(file: Row) -> Iterator[Parsed]:
        if file["problem"]:
            yield 0, Rejection(file["problem"], file["doc_id"], covers=file["covers"])
        else:
            yield from _numbered(read_path(file["doc_id"], file["uri"], file["path"], limits))

    return _bundled(spark, files).mapInArrow(_parsing(parse, limits), PARSED)


def _numbered(parsed: Iterable[Document | Rejection]) -> Iterator[Parsed]:
    """What is in one file, with its place: 0 for the file itself."""
    for place, one in enumerate(parsed):
        yield -place, one


def _bucket(spark: SparkSession, root: str, limits: Limits, settings: Settings, only: Collection[str] | None) -> Input:
    if not root.startswith(buckets.SCHEME):
        raise InvalidInput(
            f"path {root!r}: a folder must be local or s3://…. Copy it, or name a JSONL or Parquet file."
        )
    store = buckets.Store.of(settings)
    objects, skipped = buckets.listing(store.connect(), root, only)
    return Input(_objects(spark, objects, store, limits), skipped)


def _objects(spark: SparkSession, objects: pa.Table, store: buckets.Store, limits: Limits) -> DataFrame:
    def parse_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client = store.connect()

        def parse(one: Row) -> Iterator[Parsed]:
            yield from _numbered(buckets.read_object(client, one["doc_id"], one["uri"], one["size"], limits))

        yield from _parsing(parse, limits)(batches)

    return _bundled(spark, objects).mapInArrow(parse_all, PARSED)


def _bundled(spark: SparkSession, files: pa.Table) -> DataFrame:
    """A listing, in so many parts that a task that meets a slow file holds up few others."""
    read = spark.createDataFrame(files)
    bundles = files.num_rows // _BUNDLE_FILES
    return read.repartition(bundles) if bundles > spark.sparkContext.defaultParallelism else read


def _website(spark: SparkSession, sitemap: str, limits: Limits, settings: Settings) -> DataFrame:
    def fetch(row: Row) -> Iterator[Parsed]:
        yield from _numbered(read_website(row["path"], limits, bounds))

    bounds = Bounds(settings.website_max_pages, settings.website_max_seconds, settings.website_delay_seconds)
    one_task = spark.createDataFrame(pa.table({"path": [sitemap]})).coalesce(1)
    return one_task.mapInArrow(_parsing(fetch, limits), PARSED)


def _parsing(
    parse: Callable[[Row], Iterator[Parsed]], limits: Limits, uri: str = "", unit: str = ""
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that parses every row and checks what comes of it.

    `uri` and `unit`: of the one file that all are lines of.
    """

    def parse_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows: list[Row] = []
            size = 0
            for row in batch.to_pylist():
                for number, found in parse(row):
                    parsed = checked(found, limits.languages) if isinstance(found, Document) else found
                    where = f"{unit} {number}: " if unit else ""
                    rows.append(_parsed_row(number, parsed, where, uri or row.get("uri") or row["path"]))
                    size += len(rows[-1].get("text") or "")
                    if size > _BATCH_BYTES:
                        yield pa.RecordBatch.from_pylist(rows, _ARROW)
                        rows, size = [], 0
            yield pa.RecordBatch.from_pylist(rows, _ARROW)

    return parse_all


def _parsed_row(number: int, parsed: Document | Rejection, where: str, uri: str) -> Row:
    if isinstance(parsed, Document):
        return {"number": number, **vars(parsed), "content_hash": parsed.content_hash}
    return {"number": number, **vars(parsed), "uri": parsed.uri or uri, "reason": where + parsed.reason}
