"""Cut changed documents into chunks, and update `silver.chunks` to match them.

Only rows that differ are written, so the change feed of the table names exactly the chunks to embed and to index. The
key of a new group set is written before its chunks: search finds no chunk with an unknown key.
"""

import hashlib
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses
from tokenizers import Tokenizer

from lakehouse.access.permissions import acl_key
from lakehouse.index.embedding import embedded_text, load_tokenizer
from lakehouse.settings import Settings
from lakehouse.storage.delta import arrow_schema
from lakehouse.storage.spark import append, read, struct_type
from lakehouse.tables import ACL_KEYS, CHUNKS, DOCUMENTS
from spark_jobs.documents.chunking import CUTTING_VERSION, chunk_document, embedded_title
from spark_jobs.runner.change_feed import differences, for_each_change, write_differences
from spark_jobs.runner.counts import Counts
from spark_jobs.runner.progress import done

STEP = "chunk_documents"
_BATCH_CHUNKS = 2000
_COPIED = ("tenant_id", "source", "doc_id", "uri", "acl_groups", "document_type", "author", "updated_at")
_READ = (*_COPIED, "title", "text")


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Chunk the documents that changed since the last run; return how many chunks were written and deleted."""
    counts = Counter(chunks_written=0, chunks_deleted=0)

    def chunk_batch(documents: DataFrame) -> None:
        counts.update(_bring_up_to_date(spark, settings, args, documents))

    # another tokenizer, limit or way of cutting gives other chunks
    variant = f"{settings.embedding_model} {settings.chunk_max_tokens} {CUTTING_VERSION}"
    for_each_change(spark, settings, DOCUMENTS, args.tenant, STEP, variant, chunk_batch)
    return dict(counts)


def _bring_up_to_date(spark: SparkSession, settings: Settings, args: Namespace, documents: DataFrame) -> Counts:
    live = documents.filter((F.col("_change_type") != "delete") & ~F.col("deleted"))
    cut = chunking(settings.embedding_model, settings.chunk_max_tokens, args.run_id)
    chunks = live.select(*_READ).mapInArrow(cut, struct_type(CHUNKS))
    known = read(spark, settings, CHUNKS).filter(F.col("tenant_id") == args.tenant)
    touched = known.join(documents.select("source", "doc_id"), on=["source", "doc_id"], how="left_semi")
    changes = differences(chunks, touched, CHUNKS)
    keys_first = partial(_write_new_keys, spark, settings, args)
    written, deleted = write_differences(spark, settings, args.tenant, CHUNKS, changes, keys_first)
    return {"chunks_written": written, "chunks_deleted": deleted}


def chunking(
    model: str, max_tokens: int, run_id: str
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: documents in, rows of `silver.chunks` out."""

    def cut_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tokenizer = _tokenizer(model)
        rows: list[dict[str, Any]] = []
        for batch in batches:
            for document in batch.to_pylist():
                done(1)
                rows += chunk_rows(document, tokenizer, max_tokens, run_id)
                if len(rows) >= _BATCH_CHUNKS:
                    yield pa.RecordBatch.from_pylist(rows, arrow_schema(CHUNKS))
                    rows = []
        yield pa.RecordBatch.from_pylist(rows, arrow_schema(CHUNKS))

    return cut_all


@lru_cache(maxsize=1)
def _tokenizer(model: str) -> Tokenizer:
    return load_tokenizer(model)


def chunk_rows(document: dict[str, Any], tokenizer: Tokenizer, max_tokens: int, run_id: str) -> list[dict[str, Any]]:
    """The rows of `silver.chunks` of one row of `bronze.documents`."""
    title = embedded_title(document["title"], tokenizer, max_tokens)
    shared = {name: document.get(name) for name in _COPIED}
    shared |= {"title": title, "acl_key": acl_key(document["acl_groups"]), "ingest_run_id": run_id}
    repeats: Counter[str] = Counter()
    rows = []
    for position, chunk in enumerate(chunk_document(document["text"], title, tokenizer, max_tokens)):
        embedded = embedded_text(title, chunk.heading_path, chunk.text)
        rows.append(
            shared
            | {
                "chunk_id": _chunk_id(document, chunk.text, repeats[chunk.text]),
                "position": position,
                "heading_path": list(chunk.heading_path),
                "text": chunk.text,
                "start_offset": chunk.start,
                "end_offset": chunk.end,
                "token_count": chunk.token_count,
                "content_hash": hashlib.sha256(embedded.encode()).hexdigest(),
            }
        )
        repeats[chunk.text] += 1
    return rows


def _chunk_id(document: dict[str, Any], text: str, repeat: int) -> str:
    key = (document["tenant_id"], document["source"], document["doc_id"], str(repeat), text)
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]


def _write_new_keys(spark: SparkSession, settings: Settings, args: Namespace, changes: DataFrame) -> None:
    known = read(spark, settings, ACL_KEYS).filter(F.col("tenant_id") == args.tenant)
    written = (
        changes.filter("_change <> 'delete'")
        .groupBy("tenant_id", "acl_key")
        .agg(F.first("acl_groups").alias("acl_groups"))
    )
    new = written.join(known.select("acl_key"), on="acl_key", how="left_anti").select(*ACL_KEYS.column_names).persist()
    try:
        if not new.isEmpty():
            append(settings, ACL_KEYS, new.coalesce(1))
    finally:
        new.unpersist()
