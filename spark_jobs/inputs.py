"""What lies at a path, as one DataFrame of parsed documents and rejections, a row each.

Files of a local folder are listed here and read in the tasks: Spark's own listing drops every name that begins with
`_` in silence, and follows links out of the folder. On object stores, where there are no links, Spark lists.
"""

import os
from collections.abc import Callable, Iterator, Set
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from pyspark.sql import types as T  # noqa: N812

from lakehouse.errors import InvalidInput
from spark_jobs.parsing import Document, Rejection, excerpt, parse_file, parse_line, parse_row, too_large

PARSED = T.StructType(
    [
        T.StructField("number", T.LongType(), False),  # of the line or row in its file, from 1; 0: a whole file
        T.StructField("doc_id", T.StringType()),
        T.StructField("title", T.StringType()),
        T.StructField("text", T.StringType()),
        T.StructField("uri", T.StringType(), False),  # of a rejection: the file that holds the bytes
        T.StructField("acl_groups", T.ArrayType(T.StringType())),
        T.StructField("content_hash", T.StringType()),
        T.StructField("updated_at", T.TimestampType()),
        T.StructField("reason", T.StringType()),  # NULL for a document
        T.StructField("excerpt", T.StringType()),
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
    ]
)
_LISTED = pa.schema([("doc_id", pa.string()), ("path", pa.string()), ("uri", pa.string()), ("problem", pa.string())])
_ROW_COLUMNS = ("id", "title", "text", "groups", "uri", "updated_at")
_BATCH_BYTES = 32 * 1024 * 1024
# JSON may write a character of two bytes as \uXXXX, six bytes: only a longer line is too large for certain.
_JSON_EXPANSION = 3

Row = dict[str, Any]
Parsed = tuple[int, Document | Rejection]
"""Number of the line or row, and what became of it."""


def read_input(spark: SparkSession, path: str, max_bytes: int, only: Set[str | None] | None = None) -> DataFrame:
    """Everything at a path, as `PARSED`. `InvalidInput` when nothing lies there or it cannot be read.

    `only`: of a folder, no other files than those of these ids (on an object store: with a name of theirs).
    """
    path = _as_spark_names_it(path)
    is_remote = "://" in path
    if not is_remote and not os.path.exists(path):
        raise InvalidInput(f"path {path!r}: nothing is there. Name a file or a folder that the Spark driver can read.")
    uri = input_uri(path)
    try:
        if path.endswith((".jsonl", ".ndjson")):
            return _lines(spark, uri, max_bytes)
        if path.endswith(".parquet"):
            return _rows(spark, uri, max_bytes)
        read_files = _remote_files if is_remote else _local_files
        return read_files(spark, path, max_bytes, only)
    except (AnalysisException, Py4JJavaError) as error:  # while Spark looks for the schema and the file's parts
        cause = str(error).partition("Exception: ")[2] or str(error)
        raise InvalidInput(f"path {path!r}: {cause.splitlines()[0]} Repair the input, or name another.") from None


def input_uri(path: str) -> str:
    """The address of a path: every rejection's `uri` is this one, or lies below it."""
    path = _as_spark_names_it(path)
    return path if "://" in path else Path(path).resolve().as_uri()


def _as_spark_names_it(path: str) -> str:
    return "s3a://" + path.removeprefix("s3://") if path.startswith("s3://") else path.removeprefix("file://")


def _lines(spark: SparkSession, uri: str, max_bytes: int) -> DataFrame:
    limit = _JSON_EXPANSION * max_bytes
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

    def parse(row: Row) -> Parsed:
        if row["length"] > limit:
            return row["line"], Rejection(too_large(row["length"], max_bytes), None, excerpt(row["content"]))
        return row["line"], parse_line(row["content"], uri, max_bytes)

    return lines.mapInArrow(_parsing(parse, uri, "line"), PARSED)


def _spark_path(uri: str) -> str:
    """The address as Spark takes it: it decodes nothing, so the `=` of `dt=2026-11-01` must not be encoded."""
    return unquote(uri) if uri.startswith("file:") else uri


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


def _rows(spark: SparkSession, uri: str, max_bytes: int) -> DataFrame:
    read = spark.read.option("__globPaths__", "false").parquet(_spark_path(uri))
    columns = [name for name in _ROW_COLUMNS if name in read.columns]

    def parse(row: Row) -> Parsed:
        return row["row_index"] + 1, parse_row(row, uri, max_bytes)

    return read.select(*columns, F.col("_metadata.row_index")).mapInArrow(_parsing(parse, uri, "row"), PARSED)


def _local_files(spark: SparkSession, root: str, max_bytes: int, only: Set[str | None] | None) -> DataFrame:
    listed = [file for file in local_files(Path(root)) if only is None or file["doc_id"] in only]
    files = pa.Table.from_pylist(listed, _LISTED)

    def parse(file: Row) -> Parsed:
        if file["problem"]:
            return 0, Rejection(file["problem"], file["doc_id"])
        try:
            with open(file["path"], "rb") as opened:
                content = opened.read(max_bytes + 1)
                size = os.fstat(opened.fileno()).st_size
        except OSError as error:
            return 0, Rejection(f"cannot be read: {error.strerror}. Make it readable.", file["doc_id"])
        if len(content) > max_bytes:
            return 0, Rejection(too_large(size, max_bytes), file["doc_id"], excerpt(content))
        return 0, parse_file(file["doc_id"], file["uri"], content)

    return spark.createDataFrame(files).mapInArrow(_parsing(parse), PARSED)


def local_files(root: Path) -> Iterator[Row]:
    """The files below a folder in the order of their names, or the file itself. Hidden ones are passed over.

    `problem` says why one can't be taken: its name is no text, it is a link that leaves the folder or leads
    nowhere, or it is no regular file. A link to a folder inside is passed over: its files are found at their place.
    """
    if root.is_file():
        yield {"doc_id": root.name, "path": str(root), "uri": root.resolve().as_uri(), "problem": None}
        return
    real_root = root.resolve()
    for folder, folders, names in os.walk(root):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
        for name in sorted(names + links):
            if name.startswith("."):
                continue
            path = Path(folder, name)
            problem = _problem(path, real_root)
            if problem is None and path.is_dir():
                continue
            is_text = _is_text(str(path))
            shown = (real_root / path.relative_to(root)).as_uri()
            yield {
                "doc_id": path.relative_to(root).as_posix() if is_text else None,
                "path": str(path) if is_text else None,
                "uri": shown,
                "problem": problem if is_text else "its name is not UTF-8. Rename the file.",
            }


def _problem(path: Path, real_root: Path) -> str | None:
    if path.is_symlink():
        target = path.resolve()
        if not target.is_relative_to(real_root):
            return f"a link to {str(target)!r}, outside the folder. Put the file itself there, or ingest its folder."
        if not target.exists():
            return f"a link to {str(target)!r}, where nothing is. Repair or remove it."
    if not path.is_dir() and not path.is_file():
        return "neither a file nor a folder. Remove it."
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _remote_files(spark: SparkSession, root: str, max_bytes: int, only: Set[str | None] | None = None) -> DataFrame:
    read = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .option("__globPaths__", "false")
        .load(root)
    )
    if only is not None:
        names = [doc_id.rsplit("/", 1)[-1] for doc_id in only if doc_id]
        read = read.filter(F.element_at(F.split("path", "/"), -1).isin(names))
    taken = read.filter(F.col("length") <= max_bytes).select("path", "length", "content")
    too_long = read.filter(F.col("length") > max_bytes).select(
        "path", "length", F.lit(None).cast("binary").alias("content")
    )
    base = _without_scheme(root).rstrip("/")

    def parse(file: Row) -> Parsed:
        path = _without_scheme(file["path"])
        doc_id = path.removeprefix(base).lstrip("/") or path.rsplit("/", 1)[-1]
        if file["content"] is None:
            return 0, Rejection(too_large(file["length"], max_bytes), doc_id)
        return 0, parse_file(doc_id, file["path"], file["content"])

    return taken.unionByName(too_long).mapInArrow(_parsing(parse), PARSED)


def _without_scheme(uri: str) -> str:
    return "/" + uri.split(":", 1)[-1].lstrip("/")


def _parsing(
    parse: Callable[[Row], Parsed], uri: str = "", unit: str = ""
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow` that parses every row; `uri` and `unit`: of the one file that all are lines of."""

    def parse_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows: list[Row] = []
            size = 0
            for row in batch.to_pylist():
                number, parsed = parse(row)
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
    reason = where + parsed.reason
    return {"number": number, "doc_id": parsed.doc_id, "uri": uri, "reason": reason, "excerpt": parsed.excerpt}
