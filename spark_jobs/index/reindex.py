"""Move tenants to another embedding model: build a new collection from Delta, check it, then publish it to searches.

Searches read the old collection until the alias moves. The old collection is kept: a reindex back to its model writes
only the changes since. Nothing is parsed or chunked again. Repeat a run that was killed: embedded texts stay embedded,
and a half-built collection is continued.
"""

import logging
from argparse import Namespace
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.access.permissions import acl_directory
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.index.embedding import load_embedder
from lakehouse.index.index import Index
from lakehouse.index.versions import Version, versions
from lakehouse.settings import Settings
from lakehouse.storage.spark import read
from lakehouse.tables import ACL_KEYS, CHUNKS, EMBEDDINGS
from spark_jobs.index.embed import embed_missing
from spark_jobs.index.name_frequencies import bring_up_to_date
from spark_jobs.index.reconcile import repair
from spark_jobs.index.sync import agreed_version, next_version, record_exchange, sync_collection, tenants_with_chunks
from spark_jobs.runner.counts import Counts

SAMPLE = 50
"""Number of chunks whose vectors are the queries of the check."""
NEAREST = 10
MIN_RECALL = 0.95
_TIE = 1e-4  # of a cosine: Milvus and numpy add in another order

log = logging.getLogger("spark_jobs")


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Reindex one tenant, or all. A tenant that fails keeps its old index; the others continue."""
    failures: list[LakehopError] = []
    tenants = [args.tenant] if args.tenant else tenants_with_chunks(spark, settings)
    for tenant_id in tenants:
        try:
            reindex_tenant(spark, settings, tenant_id, args.embedding_model, args.run_id)
        except LakehopError as error:
            log.error("tenant %s keeps its index: %s", tenant_id, error)
            failures.append(error)
    if failures:
        kind = InvalidInput if all(isinstance(error, InvalidInput) for error in failures) else LakehopError
        reasons = " ".join(dict.fromkeys(map(str, failures)))
        raise kind(f"{len(failures)} of {len(tenants)} tenants keep their old index. {reasons}")
    return {"tenants": len(tenants)}


def reindex_tenant(spark: SparkSession, settings: Settings, tenant_id: str, model: str, run_id: str) -> None:
    """Build and publish one tenant's index by the model. Raises `InvalidInput` if the model would cut chunks."""
    chunks = read(spark, settings, CHUNKS).filter(F.col("tenant_id") == tenant_id)
    longest = chunks.agg(F.max("token_count").alias("tokens")).first()
    if longest is None or longest["tokens"] is None:
        raise InvalidInput(
            f"tenant {tenant_id!r}: has no chunk to embed. Run `lakehop ingest PATH --tenant {tenant_id}`."
        )
    _check_reads(model, longest["tokens"])
    index = Index(settings)
    try:
        old = agreed_version(settings, index, tenant_id)
        if old and old.embedding_model == model and old.is_current:
            log.info("tenant %s: %s is by this model already", tenant_id, old.collection)
            return
        bring_up_to_date(spark, settings, tenant_id, run_id)
        embedded = embed_missing(spark, settings, run_id, model, chunks)
        kept = _kept_version(settings, index, tenant_id, model)
        new = kept or next_version(spark, settings, index, tenant_id, model, run_id)
        assert new  # the tenant has chunks, and they are embedded
        if kept:  # its change data may be deleted by now, so compare instead
            written = sum(repair(spark, settings, index, kept, chunks).values())
        else:
            written = sync_collection(spark, settings, new)
        index.collections.settle(new.collection)
        recall = _check(spark, settings, index, new, chunks)
        index.collections.publish(tenant_id, new.collection)
        rows = index.reader.count(tenant_id, new.collection)
        record_exchange(settings, index, new.gone_live(run_id, rows, recall), old)
        log.info("tenant %s: %s live, %d embedded, %d written", tenant_id, new.collection, embedded, written)
    finally:
        index.close()


def _check_reads(model: str, tokens: int) -> None:
    """Raise `InvalidInput` if the model would silently cut the longest chunk."""
    limit = load_embedder(model).max_tokens
    if limit < tokens:
        raise InvalidInput(
            f"embedding model {model!r}: reads {limit} tokens, and chunks have up to {tokens}. Set "
            f"LAKEHOP_CHUNK_MAX_TOKENS to {limit} or less and ingest again, or choose a model that reads more."
        )


def _kept_version(settings: Settings, index: Index, tenant_id: str, model: str) -> Version | None:
    """The newest retired version by this model, of this release's layout, that Milvus still has; None without one."""
    present = index.collections.versions(tenant_id)
    retired = [v for v in versions(settings, tenant_id) if v.state == "retired" and v.collection in present]
    fitting = [version for version in retired if version.embedding_model == model and version.is_current]
    return fitting[-1] if fitting else None


def _check(spark: SparkSession, settings: Settings, index: Index, version: Version, chunks: DataFrame) -> float:
    """Raise unless the collection holds every chunk and its recall is high enough; return the recall."""
    wanted, held = chunks.count(), index.reader.count(version.tenant_id, version.collection)
    if wanted != held:
        raise LakehopError(
            f"collection {version.collection!r} holds {held} rows, the tenant has {wanted} chunks. Run the reindex "
            "again; if they differ again, read the log of Milvus."
        )
    by_model = read(spark, settings, EMBEDDINGS).filter(F.col("embedding_model") == version.embedding_model)
    vectors = chunks.select("chunk_id", "content_hash").join(by_model, on="content_hash").select("chunk_id", "vector")
    recall = sampled_recall(spark, settings, index, version, vectors)
    if recall < MIN_RECALL:
        raise LakehopError(
            f"collection {version.collection!r} finds {recall:.3f} of the exact {NEAREST} nearest, and {MIN_RECALL} is "
            "the least. Its index type or parameters do not fit these vectors."
        )
    return recall


def sampled_recall(
    spark: SparkSession, settings: Settings, index: Index, version: Version, vectors: DataFrame
) -> float:
    """Share of the exact nearest chunks that a search finds, 0 to 1, over a sample of the chunks' own vectors."""
    sample = vectors.orderBy(F.xxhash64("chunk_id")).limit(SAMPLE).collect()
    queries = np.array([row["vector"] for row in sample], dtype=np.float32)
    nearest = vectors.mapInArrow(scoring(queries, NEAREST), "query INT, score FLOAT")
    by_query = nearest.groupBy("query").agg(
        F.slice(F.sort_array(F.collect_list("score"), asc=False), 1, NEAREST).alias("scores")
    )
    exact = {row["query"]: row["scores"] for row in by_query.collect()}
    keys = read(spark, settings, ACL_KEYS).filter(F.col("tenant_id") == version.tenant_id).select("acl_key").collect()
    allowed = list({row["acl_key"] for row in keys} | set(acl_directory(settings).allowed_keys(version.tenant_id, ())))
    shares = []
    for number, vector in enumerate(queries):
        found = index.reader.search(
            version.tenant_id, allowed, query="", vector=vector, mode="dense", k=NEAREST, collection=version.collection
        )
        least = exact[number][-1] - _TIE
        shares.append(sum(passage.score >= least for passage in found) / len(exact[number]))
    return float(np.mean(shares))


def scoring(queries: np.ndarray, k: int) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: rows with a unit `vector` in, the k best cosines of each query and part out."""

    def score_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        best = np.full((len(queries), 0), -np.inf, dtype=np.float32)
        for batch in batches:
            if batch.num_rows == 0:
                continue
            matrix = batch.column("vector").flatten().to_numpy(zero_copy_only=False).reshape(batch.num_rows, -1)
            best = np.sort(np.hstack([best, queries @ matrix.T]), axis=1)[:, -k:]
        numbers = np.repeat(np.arange(len(queries), dtype=np.int32), best.shape[1])
        yield pa.RecordBatch.from_pydict({"query": numbers, "score": best.reshape(-1).astype(np.float32)})

    return score_all
