"""Link documents by what their texts say: hyperlinks, and mentions of other documents' titles. No model is asked.

Everything here follows from `silver.chunks`, in two steps. Texts are read for `silver.mentions`: only changed chunks,
and those that hold a name that came or went. Then joins over the whole tenant, without any text, give `silver.links`
and `silver.titles`: what a name means, whether it is too common, and where an address leads, all depend on the other
documents. Each table is brought to what it should hold by its differences, and `silver.titles`, which says for which
names the texts were read, comes after the mentions: a run that was killed is simply run again.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache, partial, reduce
from typing import Any

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.storage.delta import arrow_schema
from lakehouse.storage.spark import read, struct_type
from lakehouse.tables import CHUNKS, LINKS, MENTIONS, TITLES, Table
from lakehouse.text.hyperlinks import (
    declared_addresses,
    document_addresses,
    hyperlinks,
    link_addresses,
    without_targets,
)
from spark_jobs.documents.mentions import Matcher, Mention, longest, names_of
from spark_jobs.formats.markdown_blocks import front_matter
from spark_jobs.runner.change_feed import differences, for_each_change, write_differences
from spark_jobs.runner.counts import Counts

STEP = "link_documents"
# Another way of reading texts or titles needs another number here: the step then sees every chunk again.
_VARIANT = "2"
# The automaton of this many names takes about 125 MB in each Python worker and 3 s to build.
NAMES_AT_ONCE = 200_000
# A name makes links unless more documents have it than a list of candidates can hold, …
MAX_NAMESAKES = 20
# … or more mention it than one in 33, or this many in a small corpus: then it says nothing about a document.
MAX_MENTIONED_IN = 20
MAX_MENTIONED_SHARE = 0.03

_FOUND = pa.schema([("chunk_id", pa.string()), ("target", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
_FOUND_TYPE = "chunk_id STRING, target STRING, start INT, end INT"
_NAME_TYPE = "source STRING, doc_id STRING, acl_key STRING, name STRING, alias STRING"
_NAME = pa.schema([(name, pa.string()) for name in ("source", "doc_id", "acl_key", "name", "alias")])
_ADDRESS = pa.schema([("source", pa.string()), ("doc_id", pa.string()), ("address", pa.string())])
_READ = ("tenant_id", "chunk_id", "source", "doc_id", "position", "text", "uri", "acl_key")
_DOCUMENT = ("source", "doc_id")
_LEADING = (
    *("chunk_id", "source", "doc_id", "acl_key", "kind", "target", "start_offset", "end_offset", "occurrences"),
    *("to_source", "to_doc_id"),
)

Row = dict[str, Any]
MapInArrow = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Link what the changes since the last run concern; return how many links were written and deleted."""
    counts = Counter(links_written=0, links_deleted=0)

    def link_batch(changed: DataFrame) -> None:
        with ExitStack() as stack:
            keep = partial(kept, stack)
            changed = keep(changed.select("chunk_id"))
            if not changed.isEmpty():
                counts.update(_bring_up_to_date(spark, settings, args, changed, keep))

    for_each_change(spark, settings, CHUNKS, args.tenant, STEP, _VARIANT, link_batch)
    return dict(counts)


def kept(stack: ExitStack, frame: DataFrame) -> DataFrame:
    """The frame, computed once until the stack unwinds: to look a table up anew costs a query each time."""
    frame = frame.persist()
    stack.callback(frame.unpersist)
    return frame


def _bring_up_to_date(
    spark: SparkSession, settings: Settings, args: Namespace, changed: DataFrame, keep: Callable[[DataFrame], DataFrame]
) -> Counts:
    def of_tenant(table: Table) -> DataFrame:
        return read(spark, settings, table).filter(F.col("tenant_id") == args.tenant)

    def write(table: Table, changes: DataFrame) -> tuple[int, int]:
        return write_differences(spark, settings, args.tenant, table, changes)

    chunks = of_tenant(CHUNKS)
    documents = keep(chunks.filter("position = 0").select(*_DOCUMENT, "chunk_id", "title", "uri", "acl_key"))
    names = keep(document_names(documents))
    known_titles = keep(of_tenant(TITLES))

    renamed = changed_names(names, known_titles)
    concerned = changed.union(holding(spark, chunks.join(changed, on="chunk_id", how="left_anti"), renamed))
    concerned = keep(concerned.distinct())
    read_again = chunks.join(concerned, on="chunk_id", how="left_semi").select(*_READ)
    known_mentions = of_tenant(MENTIONS).join(concerned, on="chunk_id", how="left_semi")
    new_mentions = mentions(spark, read_again, names, args.run_id)
    write(MENTIONS, differences(new_mentions, known_mentions, MENTIONS))

    found = keep(of_tenant(MENTIONS))
    titles = keep(judged_titles(names, found, documents.count(), args))
    new_links = differences(links(found, titles, documents, args), of_tenant(LINKS), LINKS)
    new_titles = differences(titles, known_titles, TITLES)
    with ThreadPoolExecutor(2) as side_by_side:  # a merge is mostly its driver's planning, which leaves cores idle
        linked, _ = side_by_side.map(write, (LINKS, TITLES), (new_links, new_titles))
    written, deleted = linked
    return {"links_written": written, "links_deleted": deleted}


def document_names(documents: DataFrame) -> DataFrame:
    """Every name of every document, as source, doc_id, acl_key, name, alias."""

    def name_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [
                {name: document[name] for name in (*_DOCUMENT, "acl_key")} | {"name": name.text, "alias": name.alias}
                for document in batch.to_pylist()
                for name in names_of(document["title"])
            ]
            yield pa.RecordBatch.from_pylist(rows, _NAME)

    return documents.select(*_DOCUMENT, "acl_key", "title").mapInArrow(name_all, _NAME_TYPE)


def changed_names(names: DataFrame, titles: DataFrame) -> DataFrame:
    """Names that some document has now and none had when texts were last read for them, or the other way round."""
    now, before = names.select("name").distinct(), titles.select("name").distinct()
    return now.exceptAll(before).union(before.exceptAll(now))


def holding(spark: SparkSession, chunks: DataFrame, names: DataFrame) -> DataFrame:
    """Ids of the chunks that mention one of the names. No other chunk's mentions can change with them."""
    return _found_names(spark, chunks, names).select("chunk_id").distinct()


def mentions(spark: SparkSession, chunks: DataFrame, names: DataFrame, run_id: str) -> DataFrame:
    """Rows of `silver.mentions` of the chunks: the longest names, link targets, declared addresses."""
    finds = F.collect_list(F.struct("start", "end", "target")).alias("finds")
    found = _found_names(spark, chunks, names.select("name").distinct()).groupBy("chunk_id").agg(finds)
    joined = chunks.join(found, on="chunk_id", how="left")
    return joined.mapInArrow(_mentioning(run_id), struct_type(MENTIONS))


def _found_names(spark: SparkSession, chunks: DataFrame, names: DataFrame) -> DataFrame:
    """All finds of distinct names, also within longer ones: chunk_id, target, start, end.

    A part of the names at a time passes through the driver, which keeps none, and every part is sought in every text.
    """
    texts = chunks.select("chunk_id", "text")
    found = [
        (texts if sought else texts.limit(0)).mapInArrow(_finding(spark.sparkContext.broadcast(sought)), _FOUND_TYPE)
        for sought in _in_parts(names)
    ]
    return reduce(DataFrame.union, found)


def _in_parts(names: DataFrame) -> Iterator[list[str]]:
    """Distinct names, at most some `NAMES_AT_ONCE` at a time; one list where that is all, maybe an empty one."""
    few = names.limit(NAMES_AT_ONCE + 1).collect()
    if len(few) <= NAMES_AT_ONCE:
        yield [row["name"] for row in few]
        return
    parts = -(-names.count() // NAMES_AT_ONCE)
    part = F.pmod(F.xxhash64("name"), F.lit(parts))
    for number in range(parts):
        yield [row["name"] for row in names.filter(part == number).collect()]


def _finding(names: "Broadcast[list[str]]") -> MapInArrow:
    def find_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        matcher = _matcher(names)
        for batch in batches:
            rows = [
                {"chunk_id": chunk["chunk_id"], "target": found.name, "start": found.start, "end": found.end}
                for chunk in batch.to_pylist()
                for found in matcher.find(without_targets(chunk["text"]))
            ]
            yield pa.RecordBatch.from_pylist(rows, _FOUND)

    return find_all


@lru_cache(maxsize=1)  # a worker process serves many tasks
def _matcher(names: "Broadcast[list[str]]") -> Matcher:
    return Matcher(names.value)


def _mentioning(run_id: str) -> MapInArrow:
    def mention_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [row for chunk in batch.to_pylist() for row in mention_rows(chunk, run_id)]
            yield pa.RecordBatch.from_pylist(rows, arrow_schema(MENTIONS))

    return mention_all


def mention_rows(chunk: Row, run_id: str) -> list[Row]:
    """The rows of `silver.mentions` of one chunk, whose names were found as `finds`."""
    text, source = chunk["text"], chunk["source"]
    place = (source, chunk["doc_id"], chunk["uri"])
    rows: dict[tuple[str, str], Row] = {}

    def add(kind: str, target: str, start: int, end: int, addresses: list[str]) -> None:
        row = rows.get((kind, target))
        if row is not None:
            row["occurrences"] += 1
            return
        shared = {name: chunk[name] for name in ("tenant_id", "chunk_id", "source", "doc_id", "acl_key")}
        rows[kind, target] = shared | {
            "kind": kind, "target": target, "addresses": addresses, "start_offset": start, "end_offset": end,
            "occurrences": 1, "ingest_run_id": run_id,
        }  # fmt: skip

    for mention in longest(Mention(find["start"], find["end"], find["target"]) for find in chunk["finds"] or ()):
        add("title", mention.name, mention.start, mention.end, [])
    for link in hyperlinks(text):
        add("hyperlink", link.target, link.start, link.end, link_addresses(link.target, *place))
    if chunk["position"] == 0:
        for address in declared_addresses(front_matter(text), source):
            add("address", address, 0, 0, [address])
    return list(rows.values())


def judged_titles(names: DataFrame, found: DataFrame, documents: int, args: Namespace) -> DataFrame:
    """Rows of `silver.titles`: every name with how many documents have it and mention it, and whether that is too many.

    `documents`: how many the tenant has.
    """
    others = _of_others(found.filter("kind = 'title'"), names)
    mentioned = others.groupBy(F.col("target").alias("name")).agg(F.count_distinct(*_DOCUMENT).alias("mentioned_in"))
    namesakes = F.count("*").over(Window.partitionBy("name"))
    limit = max(MAX_MENTIONED_IN, int(MAX_MENTIONED_SHARE * documents))
    is_common = (F.col("namesakes") > MAX_NAMESAKES) | (F.col("mentioned_in") > limit)
    judged = (
        names.withColumn("namesakes", namesakes.cast("int"))
        .join(mentioned, on="name", how="left")
        .withColumn("mentioned_in", F.coalesce("mentioned_in", F.lit(0)).cast("int"))
        .withColumn("is_common", is_common)
    )
    return _rows(judged, TITLES, args)


def links(found: DataFrame, titles: DataFrame, documents: DataFrame, args: Namespace) -> DataFrame:
    """Rows of `silver.links`: where the mentions and hyperlinks lead, a row a chunk, document and kind."""
    to_title = _title_links(found.filter("kind = 'title'"), titles)
    to_address = _address_links(found, documents)
    targets = documents.select(
        F.col("source").alias("to_source"),
        F.col("doc_id").alias("to_doc_id"),
        F.col("chunk_id").alias("to_chunk_id"),
        F.col("acl_key").alias("to_acl_key"),
    )
    elsewhere = (F.col("source") != F.col("to_source")) | (F.col("doc_id") != F.col("to_doc_id"))
    leading = to_title.unionByName(to_address).filter(elsewhere)
    same_link = Window.partitionBy("chunk_id", "to_source", "to_doc_id", "kind")
    first = (
        leading.withColumn("_all", F.sum("occurrences").over(same_link).cast("int"))
        .withColumn("_rank", F.row_number().over(same_link.orderBy("start_offset", "target")))
        .filter("_rank = 1")
        .withColumn("occurrences", F.col("_all"))
    )
    return _rows(first.join(targets, on=["to_source", "to_doc_id"], how="inner"), LINKS, args)


def _title_links(found: DataFrame, titles: DataFrame) -> DataFrame:
    telling = titles.filter("NOT is_common").select(
        F.col("source").alias("to_source"), F.col("doc_id").alias("to_doc_id"), F.col("name").alias("target"), "alias"
    )
    leading = _of_others(found, titles).join(telling, on="target", how="inner").withColumn("kind", F.lit("mention"))
    return leading.select(*_LEADING, "alias")


def _of_others(found: DataFrame, names: DataFrame) -> DataFrame:
    """Mentions in documents that do not have the name themselves: who has it means itself and no namesake."""
    own = names.select(*_DOCUMENT, F.col("name").alias("target"))
    return found.join(own, on=[*_DOCUMENT, "target"], how="left_anti")


def _address_links(found: DataFrame, documents: DataFrame) -> DataFrame:
    """A hyperlink leads to the document that has the best of its addresses; one that several have leads nowhere."""
    declared = found.filter("kind = 'address'").select(*_DOCUMENT, F.col("target").alias("address"))
    given = documents.select(*_DOCUMENT, "uri").mapInArrow(_addressing, "source STRING, doc_id STRING, address STRING")
    owned = given.union(declared).distinct().groupBy("address")
    unique = owned.agg(
        F.count("*").alias("_owners"), F.first("source").alias("to_source"), F.first("doc_id").alias("to_doc_id")
    ).filter("_owners = 1")
    hyperlink = found.filter("kind = 'hyperlink'")
    candidates = hyperlink.select("*", F.posexplode("addresses").alias("_place", "address"))
    best_first = Window.partitionBy("chunk_id", "target").orderBy("_place")
    resolved = candidates.join(unique, on="address", how="inner").withColumn("_rank", F.row_number().over(best_first))
    no_name = F.lit(None).cast("string").alias("alias")
    return resolved.filter("_rank = 1").select(*_LEADING, no_name)


def _addressing(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [
            {"source": document["source"], "doc_id": document["doc_id"], "address": address}
            for document in batch.to_pylist()
            for address in document_addresses(document["source"], document["doc_id"], document["uri"])
        ]
        yield pa.RecordBatch.from_pylist(rows, _ADDRESS)


def _rows(joined: DataFrame, table: Table, args: Namespace) -> DataFrame:
    constants = {"tenant_id": args.tenant, "ingest_run_id": args.run_id}

    def column(name: str) -> Column:
        return F.lit(constants[name]).alias(name) if name in constants else F.col(name)

    return joined.select(*(column(name) for name in table.column_names))
