"""Ingest the documents at the paths into `bronze.documents`; refused ones go to `bronze.quarantine` with a reason.

Only new and changed documents are written, so the change feed of the table holds the changes and nothing else. All
later steps work from that feed.
"""

import logging
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.settings import Settings
from lakehouse.storage.spark import delta_table, read, struct_type
from lakehouse.tables import DOCUMENTS, QUARANTINE
from spark_jobs.documents.near_duplicates import place, refuse_near_duplicates, signatures, store_missing_signatures
from spark_jobs.documents.replay import ids_to_read, refused_earlier, replayed_documents, settle_quarantine
from spark_jobs.documents.safeguards import check_names, check_snapshot, kind_of
from spark_jobs.runner.counts import Counts, record, recorded
from spark_jobs.sources.inputs import read_input

STEP = "parse_documents"
_STATES = ("added", "changed", "unchanged", "quarantined")

log = logging.getLogger("spark_jobs")


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Parse, compare with the known documents, write the differences; return the run's counts.

    The counts are recorded before any write, so a retry after a crash reports all that the run did, not only what
    the retry did.
    """
    started_at = datetime.now(UTC)
    refused = refused_earlier(spark, settings, args) if args.replay else None
    ids = None if refused is None else ids_to_read(refused)
    paths = list(dict.fromkeys(args.path))
    inputs = [read_input(spark, path, settings, ids) for path in paths]
    if settings.near_duplicate_similarity:
        store_missing_signatures(spark, settings, args.tenant, args.source)
    known = known_documents(read(spark, settings, DOCUMENTS), args.tenant, args.source)
    skipped = sum((part.skipped for part in inputs), Counter())
    log.info("%s: skipped files: %s", STEP, ", ".join(f"{count} {why}" for why, count in skipped.items()) or "none")
    parsed = unique_documents(in_order([part.parsed for part in inputs]))
    if refused is not None:
        parsed = replayed_documents(spark, parsed, refused, paths)
    compared = compared_documents(parsed, known, args.groups, sign=settings.near_duplicate_similarity > 0).persist()
    judged = compared
    try:
        if len(paths) > 1:
            check_names(compared)
        gone = missing_documents(known, compared) if args.snapshot else known.limit(0).select("doc_id")
        if settings.near_duplicate_similarity:
            judged = refuse_near_duplicates(compared, known, gone, settings.near_duplicate_similarity).persist()
        counts = _counts(judged) | {
            "documents_skipped": skipped.total(),
            "documents_deleted": gone.count() if args.snapshot else 0,
        }
        if args.snapshot and not args.allow_deleting:
            check_snapshot(settings, args.source, paths, compared, known, counts["documents_deleted"])
        counts = _of_all_attempts(counts, recorded(settings, args, STEP), known, args.run_id)
        record(settings, args, STEP, counts, started_at)
        if counts["documents_quarantined"]:
            _write_quarantine(settings, args, judged)
        if counts["documents_added"] or counts["documents_changed"] or counts["documents_deleted"]:
            changes = changed_rows(judged, args.tenant, args.source, args.run_id)
            if args.snapshot:
                changes = changes.unionByName(deleted_rows(gone, args.tenant, args.source, args.run_id))
            _merge(spark, settings, args, changes)
        settle_quarantine(spark, settings, args, judged)
        return counts
    finally:
        judged.unpersist()
        compared.unpersist()


def known_documents(documents: DataFrame, tenant_id: str, source: str) -> DataFrame:
    """The columns of the source's documents that a comparison needs, also of deleted documents."""
    return documents.filter((F.col("tenant_id") == tenant_id) & (F.col("source") == source)).select(
        "doc_id",
        "content_hash",
        "uri",
        "acl_groups",
        "updated_at",
        "deleted",
        "ingest_run_id",
        "signature",
        "document_type",
        "author",
    )


def in_order(inputs: Sequence[DataFrame]) -> DataFrame:
    """All inputs as one DataFrame; `input` is the number of the input of a row."""
    return reduce(DataFrame.unionByName, (part.withColumn("input", F.lit(n)) for n, part in enumerate(inputs)))


def unique_documents(parsed: DataFrame) -> DataFrame:
    """`parsed`, with each later document of an id as a rejection; the first one stays."""
    same_id = Window.partitionBy("doc_id", F.col("reason").isNull()).orderBy("input", F.abs("number"), "uri")
    is_repeat = F.col("reason").isNull() & (F.row_number().over(same_id) > 1)
    quoted_id = F.concat(F.lit("'"), "doc_id", F.lit("'"))
    reason = F.concat(
        place("number"),
        F.lit("duplicate id "),
        quoted_id,
        F.lit(": must be unique in one input, and an earlier document has it. Rename or remove one of them."),
    )
    return parsed.withColumn("reason", F.when(is_repeat, reason).otherwise(F.col("reason")))


def compared_documents(parsed: DataFrame, known: DataFrame, groups: Sequence[str], *, sign: bool) -> DataFrame:
    """Every parsed row with its `state`: added, changed, unchanged or quarantined. `groups` are the default groups.

    `precedence` is the order in which near-copies are judged: 1 for an edit of a known document, 2 for a new document.
    0 is not judged, because a change of groups alone must never be refused. `sign`: give new texts a `signature`.
    """
    given_groups = F.coalesce(F.col("new.acl_groups"), F.lit(list(groups)).cast("array<string>"))
    differs = F.col("known.deleted") | (F.col("new.content_hash") != F.col("known.content_hash"))
    differs |= (F.col("new.uri") != F.col("known.uri")) | (given_groups != F.col("known.acl_groups"))
    for name in ("updated_at", "document_type", "author"):
        differs |= ~F.col(f"new.{name}").eqNullSafe(F.col(f"known.{name}"))
    state = (
        F.when(F.col("new.reason").isNotNull(), "quarantined")
        .when(F.col("known.doc_id").isNull(), "added")
        .when(differs, "changed")
        .otherwise("unchanged")
    )
    is_new = F.col("known.doc_id").isNull() | F.col("known.deleted")
    same_text = F.col("new.content_hash") == F.col("known.content_hash")
    precedence = F.when(is_new, 2).when(same_text | (given_groups != F.col("known.acl_groups")), 0).otherwise(1)
    known_signature = F.when(same_text, F.col("known.signature"))
    is_unsigned = F.col("new.reason").isNull() & known_signature.isNull()
    new_signature = signatures(F.when(is_unsigned, F.col("new.text"))) if sign else F.lit(None)
    joined = parsed.alias("new").join(known.alias("known"), on=F.expr("new.doc_id = known.doc_id"), how="left")
    kept = [F.col(f"new.{name}") for name in parsed.columns if name != "acl_groups"]
    return joined.select(
        *kept,
        given_groups.alias("acl_groups"),
        state.alias("state"),
        precedence.alias("precedence"),
        F.coalesce(known_signature, new_signature).alias("signature"),
        F.lit(None).cast("string").alias("like_doc_id"),
    )


def missing_documents(known: DataFrame, compared: DataFrame) -> DataFrame:
    """Ids of live documents that the input no longer holds, not even as a refused file or inside a refused archive."""
    seen = compared.filter(F.col("doc_id").isNotNull()).select("doc_id")
    missing = known.filter(~F.col("deleted")).join(seen, on="doc_id", how="left_anti").select("doc_id")
    covers = compared.filter(F.col("covers").isNotNull()).select(F.col("covers").alias("_beginning")).distinct()
    names = F.split("doc_id", "/")
    depths = F.sequence(F.lit(1), F.greatest(F.size(names) - 1, F.lit(1)))
    beginnings = F.transform(depths, lambda depth: F.concat(F.array_join(F.slice(names, 1, depth), "/"), F.lit("/")))
    hidden = missing.select("doc_id", F.explode(beginnings).alias("_beginning")).join(
        covers, on="_beginning", how="semi"
    )
    return missing.join(hidden, on="doc_id", how="left_anti").select("doc_id")


def changed_rows(compared: DataFrame, tenant_id: str, source: str, run_id: str) -> DataFrame:
    """Rows of `bronze.documents` to insert or to overwrite."""
    changed = compared.filter(F.col("state").isin("added", "changed"))
    return changed.select(*_document_columns(changed.columns, tenant_id, source, run_id, deleted=False))


def deleted_rows(gone: DataFrame, tenant_id: str, source: str, run_id: str) -> DataFrame:
    """Rows that mark known documents as deleted, by key and run; the other columns are NULL and unused."""
    return gone.select(*_document_columns(gone.columns, tenant_id, source, run_id, deleted=True))


def _document_columns(given: Sequence[str], tenant_id: str, source: str, run_id: str, *, deleted: bool) -> list[Column]:
    constants = {"tenant_id": tenant_id, "source": source, "ingest_run_id": run_id, "deleted": deleted}
    return [
        (F.col(field.name) if field.name in given else F.lit(constants.get(field.name)).cast(field.dataType)).alias(
            field.name
        )
        for field in struct_type(DOCUMENTS)
    ]


def _merge(spark: SparkSession, settings: Settings, args: Namespace, changes: DataFrame) -> None:
    same_document = " AND ".join(f"known.{name} = new.{name}" for name in DOCUMENTS.key)
    (
        delta_table(spark, settings, DOCUMENTS)
        .alias("known")
        # the tenant as a constant lets Delta read that partition only
        .merge(changes.alias("new"), f"known.tenant_id = '{args.tenant}' AND {same_document}")
        .whenMatchedUpdate("new.deleted", {"deleted": "true", "ingest_run_id": "new.ingest_run_id"})
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll("NOT new.deleted")
        .execute()
    )


def _write_quarantine(settings: Settings, args: Namespace, compared: DataFrame) -> None:
    """Replace the rows that this run has quarantined, so that a retry leaves the same rows."""
    hashed = F.sha2(F.concat_ws("\n", "uri", F.col("number").cast("string"), "reason"), 256)
    rows = compared.filter("state = 'quarantined'").select(
        F.lit(args.run_id).alias("ingest_run_id"),
        F.substring(hashed, 1, 32).alias("quarantine_id"),
        F.lit(args.tenant).alias("tenant_id"),
        F.lit(args.source).alias("source"),
        "doc_id",
        "uri",
        "reason",
        "excerpt",
        F.current_timestamp().alias("quarantined_at"),
        "number",
        F.lit(args.path).cast("array<string>").alias("paths"),
        F.lit(args.groups).cast("array<string>").alias("default_groups"),
        F.lit(None).cast("string").alias("resolved_by"),
        "like_doc_id",
        kind_of("reason").alias("kind"),
    )
    quoted_run = args.run_id.replace("\\", "\\\\").replace("'", "\\'")
    (
        rows.repartition(1)  # not coalesce: one task would then search all parsed rows for these few
        .write.format("delta")
        .mode("overwrite")
        .option("replaceWhere", f"tenant_id = '{args.tenant}' AND ingest_run_id = '{quoted_run}'")
        .save(QUARANTINE.path(settings.warehouse_root))
    )


def _counts(compared: DataFrame) -> Counts:
    rows = {row["state"]: row["count"] for row in compared.groupBy("state").count().collect()}
    counts = {f"documents_{state}": rows.get(state, 0) for state in _STATES}
    return {"documents_seen": sum(counts.values()), **counts}


def _of_all_attempts(counts: Counts, earlier: Counts, known: DataFrame, run_id: str) -> Counts:
    """The counts of all attempts of the run: rows that an earlier attempt wrote look unchanged to this one."""
    if not earlier or known.filter(F.col("ingest_run_id") == run_id).isEmpty():
        return counts
    done = {
        name: counts[name] + earlier[name] for name in ("documents_added", "documents_changed", "documents_deleted")
    }
    unchanged = counts["documents_unchanged"] - earlier["documents_added"] - earlier["documents_changed"]
    return counts | done | {"documents_unchanged": max(0, unchanged)}
