"""Everything at a path as one DataFrame, a row for each document and each rejection.

Files of a folder (`spark_jobs.sources.folders`) and objects of a bucket (`spark_jobs.sources.buckets`) are listed on
the driver and read in the tasks. A website is read by a single task, so that its server gets one request at a time.
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
from lakehouse.storage.local_paths import given_path
from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.formats.rows import parse_line, parse_row, too_large_line
from spark_jobs.runner.progress import done, expect
from spark_jobs.sources.buckets import SCHEME, ObjectStore, list_bucket, read_object
from spark_jobs.sources.files import read_path
from spark_jobs.sources.folders import list_folder
from spark_jobs.sources.quality import check_quality
from spark_jobs.sources.website import CrawlBounds, read_website

PARSED = T.StructType(
    [
        # of a line or row in its file, from 1; of a file's documents: 0 for the first, then -1, -2, …
        T.StructField("number", T.LongType(), False),
        T.StructField("doc_id", T.StringType()),
        T.StructField("title", T.StringType()),
        T.StructField("text", T.StringType()),
        T.StructField("uri", T.StringType(), False),  # of a rejection: the file with the refused bytes
        T.StructField("acl_groups", T.ArrayType(T.StringType())),
        T.StructField("content_hash", T.StringType()),
        T.StructField("updated_at", T.TimestampType()),
        T.StructField("document_type", T.StringType()),
        T.StructField("author", T.StringType()),
        T.StructField("reason", T.StringType()),  # NULL for a document
        T.StructField("excerpt", T.StringType()),
        # of a rejection: prefix of ids; documents with such ids count as seen, so a snapshot keeps them
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
        ("document_type", pa.string()),
        ("author", pa.string()),
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
"""Columns of a table of documents, and the types that each may have."""
_PLAIN_COLUMNS = ("document_type", "author")
"""Read where they are texts; of another type they mean something else."""
_BUNDLE_FILES = 500
_BATCH_BYTES = 32 * 1024 * 1024
# JSON may write a character of two bytes as \uXXXX, six bytes: only a line beyond three times the limit is surely
# too large.
_JSON_EXPANSION = 3
_BLANK = " \t\r\f\ufeff"  # what an empty line of a Windows program holds; a mark may stand before the first line

Row = dict[str, Any]
NumberedResult = tuple[int, ParsedDocument | Rejection]
"""`number` of `PARSED`, and the document or its rejection."""


class Input(NamedTuple):
    """Rows of `PARSED`, and the number of skipped files of a folder or bucket by reason."""

    parsed: DataFrame
    skipped: Counter[str]


def read_input(spark: SparkSession, path: str, settings: Settings, only: Collection[str] | None = None) -> Input:
    """Everything at a path. Raises `InvalidInput` where there is nothing, or where it cannot be read.

    `only`: of a folder or bucket, read only the files of these ids, the archives that hold them, and files below them.
    """
    limits = limits_of(settings)
    if path.startswith(("https://", "http://")):
        return Input(_website(spark, path, limits, settings), Counter())
    path = _with_sparks_scheme(path)
    is_remote = "://" in path
    if not is_remote and not os.path.exists(path):
        raise InvalidInput(f"path {path!r}: nothing is there. Name a file or a folder that the Spark driver can read.")
    uri = input_uri(path)
    try:
        if path.lower().endswith((".jsonl", ".ndjson")):
            return Input(_lines(spark, uri, limits), Counter())
        if path.lower().endswith(".parquet"):
            return Input(_rows(spark, uri, limits), Counter())
        if is_remote:
            return _bucket(spark, path, limits, settings, only)
        files, skipped = list_folder(Path(path), only)
        return Input(_local_files(spark, files, limits), skipped)
    except (PySparkException, Py4JJavaError) as error:  # while Spark reads the schema and splits the file
        cause = str(error).partition("Exception: ")[2] or str(error)
        raise InvalidInput(f"path {path!r}: {cause.splitlines()[0]} Repair the input, or name another.") from None


def input_uri(path: str) -> str:
    """The address of a path: the `uri` of every rejection is this address, or begins with it."""
    path = _with_sparks_scheme(path)
    return path if "://" in path else given_path(path).as_uri()


def _with_sparks_scheme(path: str) -> str:
    return "s3a://" + path.removeprefix("s3://") if path.startswith("s3://") else path.removeprefix("file://")


def _spark_path(uri: str) -> str:
    """The address for Spark, which decodes nothing: the `=` of `dt=2026-11-01` must not be encoded."""
    return unquote(uri) if uri.startswith("file:") else uri


def limits_of(settings: Settings) -> ParseLimits:
    return ParseLimits(
        settings.document_max_bytes,
        settings.file_max_bytes,
        settings.document_seconds,
        settings.document_memory_mb,
        tuple(filter(None, settings.document_languages.split(","))),
    )


def _lines(spark: SparkSession, uri: str, limits: ParseLimits) -> DataFrame:
    limit = _JSON_EXPANSION * limits.document_bytes
    rows = spark.read.option("lineSep", "\n").option("__globPaths__", "false").text(_spark_path(uri))
    content, length = F.col("value").cast("binary"), F.octet_length("value")
    lines = (
        rows.select(_line_number(rows).alias("line"), "value")
        .filter(F.length(F.btrim("value", F.lit(_BLANK))) > 0)
        .select(
            "line",
            length.alias("length"),
            F.when(length <= limit, content).otherwise(content.substr(1, 800)).alias("content"),
        )
    )

    def parse(row: Row) -> Iterator[NumberedResult]:
        if row["length"] > limit:
            yield row["line"], too_large_line(row["content"], row["length"], limits.document_bytes)
        else:
            yield row["line"], parse_line(row["content"], uri, limits.document_bytes)

    return lines.mapInArrow(_arrow_parser(parse, limits, uri, "line"), PARSED)


def _line_number(lines: DataFrame) -> Column:
    """Number of a line in its file, from 1. The lines of earlier parts of a long file have to be counted first."""
    number = F.monotonically_increasing_id()
    part = F.shiftright(number, 33)
    in_part = number.bitwiseAND(F.lit((1 << 33) - 1)) + 1
    if lines.rdd.getNumPartitions() <= 1:  # none for a file of 0 bytes
        return in_part
    counts = lines.groupBy(F.spark_partition_id().alias("part")).count().orderBy("part").collect()
    before = accumulate((row["count"] for row in counts), initial=0)
    starts = {row["part"]: start for row, start in zip(counts, before, strict=False)}
    return in_part + F.create_map(*(F.lit(x) for pair in starts.items() for x in pair))[part.cast("int")]


def _rows(spark: SparkSession, uri: str, limits: ParseLimits) -> DataFrame:
    # merging schemas opens every file: a file with other types is found here, and not in the middle of the run
    rows = spark.read.option("__globPaths__", "false").option("mergeSchema", "true").parquet(_spark_path(uri))
    plain = [field.name for field in rows.schema if field.dataType.simpleString() in ("string", "array<string>")]
    columns = [name for name in _ROW_COLUMNS if name in rows.columns]
    columns += [name for name in _PLAIN_COLUMNS if name in plain]
    _check_types(uri, rows)

    def parse(row: Row) -> Iterator[NumberedResult]:
        yield row["row_index"] + 1, parse_row(row, uri, limits.document_bytes)

    parser = _arrow_parser(parse, limits, uri, "row")
    return rows.select(*columns, F.col("_metadata.row_index")).mapInArrow(parser, PARSED)


def _check_types(uri: str, rows: DataFrame) -> None:
    """Raises `InvalidInput` for a column of another type: a snapshot would delete documents refused row by row."""
    types = {field.name: field.dataType.simpleString() for field in rows.schema}
    for name in ("id", "text"):
        if name not in types:
            raise InvalidInput(f"path {uri!r}: no column {name!r} among {sorted(types)}. Write one, of strings.")
    for name, allowed in _ROW_COLUMNS.items():
        if name in types and types[name] not in allowed:
            raise InvalidInput(
                f"path {uri!r}: column {name!r} is {types[name]}, must be {' or '.join(allowed)}. Cast it, and nothing "
                "else: no row of the file was taken, and none is taken for deleted."
            )


def _local_files(spark: SparkSession, files: pa.Table, limits: ParseLimits) -> DataFrame:
    def parse(file: Row) -> Iterator[NumberedResult]:
        if file["problem"]:
            yield 0, Rejection(file["problem"], file["doc_id"], covers=file["covers"])
        else:
            yield from _numbered(read_path(file["doc_id"], file["uri"], file["path"], limits))

    return _bundled(spark, files).mapInArrow(_arrow_parser(parse, limits), PARSED)


def _numbered(results: Iterable[ParsedDocument | Rejection]) -> Iterator[NumberedResult]:
    """The documents of one file: 0 for the first, then -1, -2, …"""
    for position, result in enumerate(results):
        yield -position, result


def _bucket(
    spark: SparkSession, root: str, limits: ParseLimits, settings: Settings, only: Collection[str] | None
) -> Input:
    if not root.startswith(SCHEME):
        raise InvalidInput(
            f"path {root!r}: a folder must be local or s3://…. Copy it, or name a JSONL or Parquet file."
        )
    store = ObjectStore.of(settings)
    objects, skipped = list_bucket(store.connect(), root, only)
    return Input(_objects(spark, objects, store, limits), skipped)


def _objects(spark: SparkSession, objects: pa.Table, store: ObjectStore, limits: ParseLimits) -> DataFrame:
    def parse_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client = store.connect()

        def parse(item: Row) -> Iterator[NumberedResult]:
            yield from _numbered(read_object(client, item["doc_id"], item["uri"], item["size"], limits))

        yield from _arrow_parser(parse, limits)(batches)

    return _bundled(spark, objects).mapInArrow(parse_all, PARSED)


def _bundled(spark: SparkSession, files: pa.Table) -> DataFrame:
    """A listing in parts of some `_BUNDLE_FILES` files, so that a slow file delays few others."""
    rows = spark.createDataFrame(files)
    expect(files.num_rows)
    bundles = files.num_rows // _BUNDLE_FILES
    return rows.repartition(bundles) if bundles > spark.sparkContext.defaultParallelism else rows


def _website(spark: SparkSession, sitemap: str, limits: ParseLimits, settings: Settings) -> DataFrame:
    def fetch(row: Row) -> Iterator[NumberedResult]:
        yield from _numbered(read_website(row["path"], limits, bounds))

    bounds = CrawlBounds(settings.website_max_pages, settings.website_max_seconds, settings.website_delay_seconds)
    sitemaps = spark.createDataFrame(pa.table({"path": [sitemap]})).coalesce(1)
    return sitemaps.mapInArrow(_arrow_parser(fetch, limits), PARSED)


def _arrow_parser(
    parse: Callable[[Row], Iterator[NumberedResult]], limits: ParseLimits, uri: str = "", unit: str = ""
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that parses every row and checks the quality rules.

    `uri` and `unit` ("line" or "row") are set where all rows are from one file.
    """

    def parse_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows: list[Row] = []
            size = 0
            for row in batch.to_pylist():
                done(1)
                for number, result in parse(row):
                    if isinstance(result, ParsedDocument):
                        result = check_quality(result, limits.languages)
                    position = f"{unit} {number}: " if unit else ""
                    rows.append(_parsed_row(number, result, position, uri or row.get("uri") or row["path"]))
                    size += len(rows[-1].get("text") or "")
                    if size > _BATCH_BYTES:
                        yield pa.RecordBatch.from_pylist(rows, _ARROW)
                        rows, size = [], 0
            yield pa.RecordBatch.from_pylist(rows, _ARROW)

    return parse_all


def _parsed_row(number: int, result: ParsedDocument | Rejection, position: str, uri: str) -> Row:
    if isinstance(result, ParsedDocument):
        return {"number": number, **vars(result), "content_hash": result.content_hash}
    return {"number": number, **vars(result), "uri": result.uri or uri, "reason": position + result.reason}
