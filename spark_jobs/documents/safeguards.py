"""What a run refuses before it writes: one name from two paths, and a snapshot that would empty a source.

An unmounted disk is an empty folder, and a failed export a file of 0 bytes: nothing in them says that the documents are
gone. So a snapshot that finds nothing, or would delete most of a source, needs `--allow-deleting`.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings

FEW_DOCUMENTS = 2
"""So many documents are always deleted: of a source of three, the share says little."""
_NAMED = 3  # of the files in an error
_POSITION = r"^(line|row) \d+: "
_QUOTED = r"(?<!\w)'[^']*'|\"[^\"]*\"|\[[^\]]*\]"
_NUMBER = r"\d[\d.,]*(?<=\d)"
_KIND = r"^([^:(.]*…: [^.,:(]*|.*?(?=: |\. |\.$| \(|$))"


def check_names(compared: DataFrame) -> None:
    """Raises `InvalidInput` where two paths of the run hold one id: one document would hide the other."""
    read = compared.filter("doc_id IS NOT NULL AND text IS NOT NULL")  # a file that cannot be read hides nothing
    places = F.array_sort(F.collect_set(F.struct("input", "uri"))).alias("places")
    twins = read.groupBy("doc_id").agg(places, F.count_distinct("input").alias("paths")).filter("paths > 1")
    found = twins.orderBy("doc_id").limit(_NAMED).collect()
    if found:
        named = "; ".join(
            f"{row['doc_id']!r} is {row['places'][0]['uri']} and {row['places'][-1]['uri']}" for row in found
        )
        raise InvalidInput(
            f"the paths hold one id twice: {named}. Nothing was taken. Ingest each path with a --source of its own, or "
            "the folder that holds both; or rename one of them."
        )


def check_snapshot(
    settings: Settings, source: str, paths: Sequence[str], compared: DataFrame, known: DataFrame, deleted: int
) -> None:
    """Raises `InvalidInput` where a path holds nothing, or the snapshot deletes more than the settings allow."""
    allowed = settings.snapshot_max_deleted_share
    advice = "Nothing was changed. If they are to be deleted, run it again with --allow-deleting."
    found = {row["input"] for row in compared.select("input").distinct().collect()}
    if empty := [path for number, path in enumerate(paths) if number not in found]:
        raise InvalidInput(
            f"path {empty[0]!r}: nothing is there, and the snapshot would delete {deleted} documents of source "
            f"{source!r}. Check that the disk is mounted and the export is whole. {advice}"
        )
    if deleted <= FEW_DOCUMENTS:
        return
    live = known.filter(~F.col("deleted")).count()
    if deleted > allowed * live:
        raise InvalidInput(
            f"snapshot of {', '.join(paths)}: would delete {deleted} of the {live} documents of source {source!r}, at "
            f"most LAKEHOP_SNAPSHOT_MAX_DELETED_SHARE={allowed:g} of them may go. Check that the paths hold the whole "
            f"source. {advice}"
        )


def kind_of(reason: str) -> Column:
    """The kind of a reason, without the values in it: `duplicate id …: must be unique in one input`."""
    text = F.regexp_replace(reason, _POSITION, "")
    text = F.regexp_replace(F.regexp_replace(text, _QUOTED, "…"), _NUMBER, "…")
    return F.regexp_extract(F.regexp_replace(text, "…+", "…"), _KIND, 1)
