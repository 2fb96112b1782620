"""The rule `near-duplicate` of `bronze.documents`: finds near-copies by MinHash without comparing all pairs.

Only documents of one tenant, source and group set are compared, so a refusal and its reason reveal no document that the
reader may not see. Known, unchanged documents stay. Then edits of known documents are judged, then new documents, each
in the order of their ids. A document is refused if it is similar to a document that stays. So the result depends
neither on the order in which Spark reads nor on the number of attempts of a run.
"""

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from pyspark.sql import types as T  # noqa: N812

from lakehouse.settings import Settings
from lakehouse.storage.spark import delta_table, read
from lakehouse.tables import DOCUMENTS
from spark_jobs.documents.minhash import HASHES, bands, minhash
from spark_jobs.formats.document import EXCERPT_CHARACTERS

REASON = (
    "near-duplicate: %.2f of it is also in '%s', must be below %.2f. Remove one of them, or raise "
    "LAKEHOP_NEAR_DUPLICATE_SIMILARITY."
)
# A band of a thousand form letters would give half a million pairs. The first documents of a band are enough.
_COMPARED_IN_BAND = 100
_NODE = ("doc_id", "acl_groups", "signature", "precedence")


@F.arrow_udf(T.ArrayType(T.IntegerType()))  # type: ignore[call-overload]
def signatures(texts: pa.Array) -> pa.Array:
    """MinHash signatures of texts; NULL for NULL."""
    return pa.array([None if text is None else minhash(text) for text in texts.to_pylist()], pa.list_(pa.int32()))


def store_missing_signatures(spark: SparkSession, settings: Settings, tenant_id: str, source: str) -> None:
    """Compute and store the signatures of live documents that were ingested while the rule was off."""
    is_theirs = (F.col("tenant_id") == tenant_id) & (F.col("source") == source)
    unsigned = read(spark, settings, DOCUMENTS).filter(is_theirs & ~F.col("deleted") & F.col("signature").isNull())
    if unsigned.isEmpty():
        return
    new = unsigned.select("source", "doc_id", "content_hash", signatures("text").alias("signature"))
    same_text = " AND ".join(f"known.{name} = new.{name}" for name in ("source", "doc_id", "content_hash"))
    target = delta_table(spark, settings, DOCUMENTS).alias("known")
    merge = target.merge(new.alias("new"), f"known.tenant_id = '{tenant_id}' AND {same_text}")
    merge.whenMatchedUpdate(set={"signature": "new.signature"}).execute()


def refuse_near_duplicates(compared: DataFrame, known: DataFrame, gone: DataFrame, similarity: float) -> DataFrame:
    """`compared`, with each new or edited near-copy as a rejection.

    `gone`: ids of the documents that this run deletes; they are not compared.
    """
    written = compared.filter(F.col("state").isin("added", "changed"))
    candidates = written.filter("precedence > 0 AND size(signature) > 0").select(*_NODE).persist()
    try:
        if candidates.isEmpty():
            return compared
        untouched = known.filter(~F.col("deleted")).join(written.select("doc_id"), on="doc_id", how="left_anti")
        untouched = untouched.join(gone, on="doc_id", how="left_anti").withColumn("precedence", F.lit(0))
        standing = untouched.select(*_NODE).unionByName(written.filter("precedence = 0").select(*_NODE))
        copies = near_copies(standing.filter("size(signature) > 0"), candidates, similarity).localCheckpoint()
    finally:
        candidates.unpersist()
    reason = F.concat(place("number"), F.format_string(REASON, "_similarity", "_of", F.lit(similarity)))
    is_copy = F.col("_of").isNotNull() & F.col("state").isin("added", "changed")
    judged = compared.join(copies, on="doc_id", how="left").withColumns(
        {
            "reason": F.when(is_copy, reason).otherwise(F.col("reason")),
            "excerpt": F.when(is_copy, F.substring("text", 1, EXCERPT_CHARACTERS)).otherwise(F.col("excerpt")),
            "like_doc_id": F.when(is_copy, F.col("_of")),  # so that `forget` finds the rows that name a document
            "state": F.when(is_copy, "quarantined").otherwise(F.col("state")),
        }
    )
    return judged.select(*compared.columns)


def place(number: str) -> Column:
    """The beginning of a reason: the line or row, if the document is one of several in a file."""
    return F.when(F.col(number) > 0, F.concat(F.lit("line "), F.col(number), F.lit(": "))).otherwise("")


def near_copies(standing: DataFrame, candidates: DataFrame, similarity: float) -> DataFrame:
    """The candidates to refuse: doc_id, the most similar document that stays as `_of`, and their `_similarity`.

    Both inputs have doc_id, acl_groups, signature and precedence; rows of `standing` have precedence 0.
    """
    same_text = Window.partitionBy("acl_groups", "signature").orderBy("precedence", "doc_id")
    led = candidates.withColumn("_leader", F.first("doc_id").over(same_text))  # equal copies are compared once
    leaders = led.filter("doc_id = _leader").select(*_NODE)
    pairs = _pairs(standing, leaders, similarity)
    alike = _alike(pairs, standing.unionByName(leaders), similarity).localCheckpoint()
    best = _best(alike, _refused(alike))
    of = F.coalesce("_best.of", F.when(F.col("doc_id") != F.col("_leader"), F.col("_leader")))
    found = led.join(best, on=F.col("_leader") == F.col("_best_for"), how="left").select(
        "doc_id", of.alias("_of"), F.coalesce("_best.similarity", F.lit(1.0)).alias("_similarity")
    )
    return found.filter("_of IS NOT NULL")


def _pairs(standing: DataFrame, leaders: DataFrame, similarity: float) -> DataFrame:
    """Pairs of documents that share a band; `of` is the id of the document that comes first."""
    later = _banded(leaders, similarity)
    shared = _banded(standing, similarity).join(later.select("band").distinct(), on="band", how="left_semi")
    in_band = Window.partitionBy("band").orderBy("precedence", "doc_id")
    earlier = shared.unionByName(later).withColumn("_rank", F.row_number().over(in_band))
    earlier = earlier.filter(F.col("_rank") <= _COMPARED_IN_BAND).alias("earlier")
    goes_before = F.struct("earlier.precedence", "earlier.doc_id") < F.struct("later.precedence", "later.doc_id")
    same_band = F.col("earlier.band") == F.col("later.band")
    paired = earlier.join(later.alias("later"), on=same_band & goes_before, how="inner")
    return paired.select(F.col("earlier.doc_id").alias("of"), F.col("later.doc_id").alias("doc_id")).distinct()


def _banded(documents: DataFrame, similarity: float) -> DataFrame:
    count, rows = bands(similarity)

    def hashed(number: Column) -> Column:
        return F.xxhash64("acl_groups", number, F.slice("signature", number * rows + 1, rows))

    hashes = F.transform(F.sequence(F.lit(0), F.lit(count - 1)), hashed)
    return documents.select("doc_id", "precedence", F.explode(hashes).alias("band"))


def _alike(pairs: DataFrame, documents: DataFrame, similarity: float) -> DataFrame:
    """The similar pairs of equal group sets: of, doc_id, similarity, and `stands`, whether `of` is known to stay."""
    is_equal = F.zip_with("one.signature", "other.signature", lambda one, other: (one == other).cast("int"))
    estimate = F.aggregate(is_equal, F.lit(0), lambda total, equal: total + equal) / F.lit(HASHES)
    pair, one, other = pairs.alias("pair"), documents.alias("one"), documents.alias("other")
    joined = pair.join(one, on=F.col("pair.of") == F.col("one.doc_id"), how="inner")
    joined = joined.join(other, on=F.col("pair.doc_id") == F.col("other.doc_id"), how="inner")
    same_readers = F.col("one.acl_groups") == F.col("other.acl_groups")
    stands = (F.col("one.precedence") == 0).alias("stands")
    found = joined.filter(same_readers).select("pair.of", "pair.doc_id", estimate.alias("similarity"), stands)
    return found.filter(F.col("similarity") >= similarity)


def _refused(alike: DataFrame) -> DataFrame:
    """Ids of the documents to refuse: each is similar to an earlier document that stays.

    In each round, documents without an undecided earlier one stay, and documents similar to them are refused. A refused
    document refuses no other. Two rounds are usual.
    """
    refused = alike.filter("stands").select("doc_id").distinct().localCheckpoint()
    undecided = _without(alike.filter("NOT stands").select("of", "doc_id"), refused)
    while not undecided.isEmpty():
        stays = undecided.select("of").join(undecided.select(F.col("doc_id").alias("of")), on="of", how="left_anti")
        newly = undecided.join(stays.distinct(), on="of", how="left_semi").select("doc_id").distinct()
        refused = refused.union(newly).localCheckpoint()
        undecided = _without(undecided, refused)
    return refused


def _without(pairs: DataFrame, refused: DataFrame) -> DataFrame:
    """The pairs without a refused document."""
    left = pairs.join(refused, on="doc_id", how="left_anti")
    return left.join(refused.select(F.col("doc_id").alias("of")), on="of", how="left_anti").localCheckpoint()


def _best(alike: DataFrame, refused: DataFrame) -> DataFrame:
    """For each refused id, as `_best_for`, the most similar document that stays, earlier or later."""
    swapped = alike.filter("NOT stands").select(F.col("doc_id").alias("of"), F.col("of").alias("doc_id"), "similarity")
    both = alike.select("of", "doc_id", "similarity").unionByName(swapped)
    of_refused = both.join(refused, on="doc_id", how="left_semi")
    to_staying = of_refused.join(refused.select(F.col("doc_id").alias("of")), on="of", how="left_anti")
    nearest = F.min(F.struct((-F.col("similarity")).alias("_distance"), "of", "similarity"))
    return to_staying.groupBy(F.col("doc_id").alias("_best_for")).agg(nearest.alias("_best"))
