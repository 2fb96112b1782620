"""Remove documents, a source, or a whole tenant for good, and prove that nothing is left.

The order makes a kill at any point harmless: first Milvus, so that no search finds the documents, then rows, then
files, then the proof. Each part can be repeated. The declaration of a table says how its rows are removed (`Forget`).
"""

import hashlib
from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from importlib import import_module
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.errors import LakehopError
from lakehouse.index.index import Index
from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows, upsert
from lakehouse.storage.spark import delta_table, read
from lakehouse.tables import CHUNKS, EVAL_RUNS, FORGET_RUNS, LLM_CALLS, TABLES, Forget, Table
from spark_jobs.runner.counts import Counts
from spark_jobs.runner.storage_files import delete, matching_paths
from spark_jobs.upkeep.purge import purge, rows_on_disk
from spark_jobs.upkeep.retired import drop_retired

STEP = "forget_documents"
MILVUS = "milvus"
# The steps that read a tenant's change feed: each must see the deletions before `purge` deletes the change data. Beside
# `main`, this is the only place that runs steps of other rooms, the one exception to the order of imports.
_FOLLOWING_STEPS = (
    "spark_jobs.documents.chunk",
    "spark_jobs.index.embed",
    "spark_jobs.index.sync",
)
_WITH_DOCUMENTS = (Forget.DOCUMENT, Forget.UNUSED_TEXT, Forget.MEMORY)
# Answers go before their evaluations, because the evaluation names the tenant of an answer.
_WITH_TENANT = (Forget.EVAL_RUN, *_WITH_DOCUMENTS, Forget.BILL, Forget.TENANT)
_QUOTING = ("error", "sub_task")  # columns of a call that may quote a document or a question


@dataclass(frozen=True)
class Scope:
    """The documents to forget: `doc_ids` (empty: all) of `source` (None: any). Without both, the whole tenant."""

    tenant_id: str
    source: str | None
    doc_ids: tuple[str, ...]

    @property
    def is_tenant(self) -> bool:
        return self.source is None and not self.doc_ids


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Forget; return how many rows and files were removed. `LakehopError` when a row is left."""
    scope = Scope(args.tenant, args.source or None, tuple(sorted(set(args.document))))
    proof = _Proof(settings, args.run_id, scope)
    _remove_from_index(settings, scope, proof)
    drop_retired(spark, settings)  # their rows quote documents, and no declaration finds these rows
    tables = forgotten_tables(scope)
    for table in tables:
        _remove_rows(spark, settings, scope, table, proof)
    if scope.is_tenant:
        for folder in matching_paths(spark, f"{settings.warehouse_root}/_checkpoints/*/{scope.tenant_id}"):
            delete(spark, folder)
    else:
        for step in _FOLLOWING_STEPS:
            import_module(step).run(spark, settings, args)
    for table in tables:
        proof.add(table.name, files_purged=purge(spark, settings, table, scope.tenant_id))
        proof.left(table.name, held(spark, settings, scope, table, on_disk=True).count())
    proof.left(MILVUS, _count_in_index(settings, scope))
    return proof.finish()


def forgotten_tables(scope: Scope) -> list[Table]:
    """The tables to remove rows from, in this order."""
    kinds = _WITH_TENANT if scope.is_tenant else _WITH_DOCUMENTS
    return [table for kind in kinds for table in TABLES if table.forget is kind]


def held(spark: SparkSession, settings: Settings, scope: Scope, table: Table, *, on_disk: bool) -> DataFrame:
    """The rows of a table to remove: of its newest version, or `on_disk` of every file in its folder."""
    rows = rows_on_disk(spark, settings, table, scope.tenant_id) if on_disk else read(spark, settings, table)
    if table.forget is Forget.UNUSED_TEXT:
        return rows.join(read(spark, settings, CHUNKS).select("content_hash"), on="content_hash", how="left_anti")
    if table.forget is Forget.DOCUMENT:
        return rows.filter(of_documents(table, scope))
    if table.forget is Forget.MEMORY:
        return rows.filter(_quotes_document(scope))
    if table.forget is Forget.BILL:
        return rows.filter(_quoting_call(table, scope))
    if table.forget is Forget.EVAL_RUN:
        return _of_evaluations(spark, settings, scope, rows)
    return rows.filter(F.col("tenant_id") == scope.tenant_id)


def of_documents(table: Table, scope: Scope) -> Column:
    """Rows that name a document of the scope, by any pair of columns that ends in `doc_id` and `source`."""
    is_theirs = F.col("tenant_id") == scope.tenant_id
    if scope.is_tenant:
        return is_theirs
    named = [_names_document(table, name, scope) for name in table.column_names if name.endswith("doc_id")]
    return is_theirs & reduce(Column.__or__, named)


def _quotes_document(scope: Scope) -> Column:
    """Memories and programs that quote a document of the scope; `sources` and `doc_ids` are parallel arrays."""
    is_theirs = F.col("tenant_id") == scope.tenant_id
    if scope.is_tenant:
        return is_theirs

    def is_named(pair: Column) -> Column:
        named = pair["doc_ids"].isin(*scope.doc_ids) if scope.doc_ids else F.lit(True)
        return named if scope.source is None else named & (pair["sources"] == scope.source)

    return is_theirs & F.exists(F.arrays_zip("sources", "doc_ids"), is_named)


def _names_document(table: Table, doc_column: str, scope: Scope) -> Column:
    role = doc_column.removesuffix("doc_id")
    source_column = f"{role}source" if f"{role}source" in table.column_names else "source"
    is_named = F.col(doc_column).isin(*scope.doc_ids) if scope.doc_ids else F.lit(True)
    if scope.source is not None:
        is_named &= F.col(source_column) == scope.source
    return F.coalesce(is_named, F.lit(False))


def _quoting_call(table: Table, scope: Scope) -> Column:
    """Calls of the tenant with text: an error may quote a passage, the name of a sub-task may quote a question."""
    if table is LLM_CALLS:
        tenant_id, *words = (F.col(name) for name in ("tenant_id", *_QUOTING))
    else:
        tenant_id, *words = (F.get_json_object("record", f"$.{name}") for name in ("tenant_id", *_QUOTING))
    return (tenant_id == scope.tenant_id) & F.coalesce(*words).isNotNull()


def _of_evaluations(spark: SparkSession, settings: Settings, scope: Scope, rows: DataFrame) -> DataFrame:
    """Answers of the tenant's evaluations. An evaluation that was cut off has no row, so its tasks name the tenant."""
    is_theirs = F.col("tenant_id") == scope.tenant_id
    # from disk: a retry after the rows were deleted still finds the answers in old files
    runs = rows_on_disk(spark, settings, EVAL_RUNS, scope.tenant_id).filter(is_theirs).select("run_id")
    tasks = read(spark, settings, LLM_CALLS).filter(is_theirs).select("task_id")
    is_their_run = F.col("run_id").isin([row["run_id"] for row in runs.distinct().collect()])
    return rows.join(tasks.distinct().withColumn("_task", F.lit(True)), on="task_id", how="left").filter(
        is_their_run | F.col("_task")
    )


def _remove_rows(spark: SparkSession, settings: Settings, scope: Scope, table: Table, proof: "_Proof") -> None:
    """Delete by a merge on the key: a DELETE would write the ids of the documents into the table's log."""
    rows = held(spark, settings, scope, table, on_disk=False)
    count = rows.count()
    proof.add(table.name, rows_removed=count)
    if not count:
        return
    target = delta_table(spark, settings, table)
    if scope.is_tenant and table.partition_by:
        target.delete(F.col("tenant_id") == scope.tenant_id)  # deletes whole files and rewrites none
        return
    same_key = " AND ".join(f"known.{name} = gone.{name}" for name in table.key)
    whose = f"known.tenant_id = '{scope.tenant_id}' AND " if table.partition_by else ""
    keys = rows.select(*table.key).distinct()
    merge = target.alias("known").merge(keys.alias("gone"), whose + same_key)
    if table is LLM_CALLS:
        merge.whenMatchedUpdate(set=dict.fromkeys(_QUOTING, "NULL")).execute()
    else:
        merge.whenMatchedDelete().execute()


def _remove_from_index(settings: Settings, scope: Scope, proof: "_Proof") -> None:
    index = Index(settings)
    try:
        proof.add(MILVUS, rows_removed=index.reader.count_documents(scope.tenant_id, scope.source, scope.doc_ids))
        if scope.is_tenant:
            index.collections.drop_tenant(scope.tenant_id)
        else:
            index.writer.delete_documents(scope.tenant_id, scope.source, scope.doc_ids)
    finally:
        index.close()


def _count_in_index(settings: Settings, scope: Scope) -> int:
    index = Index(settings)
    try:
        return index.reader.count_documents(scope.tenant_id, scope.source, scope.doc_ids)
    finally:
        index.close()


class _Proof:
    """The run's rows of `ops.forget_runs`. They are written before each action, and a retry adds to their counts."""

    def __init__(self, settings: Settings, run_id: str, scope: Scope) -> None:
        self._settings = settings
        self._shared = {
            "run_id": run_id,
            "tenant_id": scope.tenant_id,
            "source": scope.source,
            "documents": [hashlib.sha256(doc_id.encode()).hexdigest() for doc_id in scope.doc_ids],
            "started_at": datetime.now(UTC),
        }
        rows = read_rows(settings, FORGET_RUNS, [("run_id", "=", run_id)])
        self._places: dict[str, dict[str, Any]] = {row["place"]: row for row in rows}
        self._left: dict[str, int] = {}

    def add(self, place: str, *, rows_removed: int = 0, files_purged: int = 0) -> None:
        new = self._shared | {"place": place, "rows_removed": 0, "files_purged": 0}
        row = self._places.setdefault(place, new)
        # a killed attempt may have counted rows without removing them
        row["rows_removed"] = max(row["rows_removed"], rows_removed)
        row["files_purged"] += files_purged
        upsert(self._settings, FORGET_RUNS, [row])

    def left(self, place: str, rows: int) -> None:
        self._left[place] = rows

    def finish(self) -> Counts:
        """Record the rows that are left in each place. `LakehopError` if there is any."""
        proven_at = None if any(self._left.values()) else datetime.now(UTC)
        for place, rows in self._left.items():
            self._places[place] |= {"rows_left": rows, "proven_at": proven_at}
        upsert(self._settings, FORGET_RUNS, list(self._places.values()))
        if proven_at is None:
            found = ", ".join(f"{rows} in {place}" for place, rows in self._left.items() if rows)
            raise LakehopError(
                f"rows that should be forgotten are still there: {found}. A job that ran meanwhile wrote them, or left "
                "a file when it was killed. Forget again once no other run is active; after an hour, if it was killed."
            )
        counts = self._places.values()
        return {name: sum(row[name] for row in counts) for name in ("rows_removed", "files_purged")}
