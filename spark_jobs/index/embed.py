"""Embed the texts of changed chunks that this model has not embedded yet, each distinct text once.

An embedding belongs to a text and a model, not to a chunk: moving a document, changing its groups or repeating a text
costs no model time. Where a cluster schedules GPUs, only this stage requests them.

A few texts are embedded in the driver: a Python worker would spend a minute of a small machine on importing the model's
library, and the kept driver has it. On a local master, jobs of two tenants may embed one text at the same time; the one
that ends later leaves it out.
"""

import math
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from itertools import batched

import numpy as np
import pyarrow as pa
from filelock import FileLock
from pyspark import TaskContext
from pyspark.resource import (
    ExecutorResourceRequests,
    ResourceProfile,
    ResourceProfileBuilder,
    TaskResourceRequests,
)
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812  the name that Spark's own documentation uses

from lakehouse.index.embedding import embedded_text, load_embedder
from lakehouse.index.versions import tenant_model
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.storage.delta import arrow_schema, read_rows
from lakehouse.storage.spark import append, read, struct_type
from lakehouse.tables import CHUNKS, EMBEDDINGS
from spark_jobs.runner.change_feed import for_each_change
from spark_jobs.runner.counts import Counts
from spark_jobs.runner.progress import done, expect

STEP = "embed_chunks"
# Loading the model takes seconds, so a second worker is worth it only above this many texts.
_TEXTS_PER_WORKER = 64
# A crash loses at most one commit: ten minutes of two CPU cores, a minute of a few GPUs. More commits would cost more
# time, because each reads all missing texts.
_TEXTS_PER_COMMIT = 20_000
_TEXTS_PER_CLUSTER_COMMIT = 1_000_000
# Half a minute of a core: a slow or lost executor of a cluster delays the stage by no more.
_TEXTS_PER_TASK = 2_000
_TEXTS_IN_DRIVER = 64
_TEXTS_PER_REPORT = {"cpu": 64, "gpu": 2_048}  # about a second of a core; as many as fill a GPU


def run(spark: SparkSession, settings: Settings, args: Namespace) -> Counts:
    """Embed the missing texts of the changed chunks; return how many there were."""
    embedded = 0
    model = tenant_model(settings, args.tenant)

    def embed_batch(chunks: DataFrame) -> None:
        nonlocal embedded
        embedded += embed_missing(spark, settings, args.run_id, model, chunks.filter("_change_type != 'delete'"))

    for_each_change(spark, settings, CHUNKS, args.tenant, STEP, model, embed_batch)
    return {"embedded": embedded}


def embed_missing(spark: SparkSession, settings: Settings, run_id: str, model: str, chunks: DataFrame) -> int:
    """Embed the texts of the chunks that the model has not embedded yet; return how many."""
    missing = missing_texts(chunks, read(spark, settings, EMBEDDINGS), model).persist()
    try:
        count = missing.count()
        expect(count)
        if settings.spark_is_local and count <= _TEXTS_IN_DRIVER:
            if count:
                _embed_few(settings, run_id, model, missing)
            return count
        most = _TEXTS_PER_COMMIT if settings.spark_is_local else _TEXTS_PER_CLUSTER_COMMIT
        commits = math.ceil(count / most)
        for number in range(commits):
            part = missing.filter(F.pmod(F.hash("content_hash"), F.lit(commits)) == number)
            embed_texts(spark, settings, run_id, model, part, min(count, most))
        return count
    finally:
        missing.unpersist()


def _embed_few(settings: Settings, run_id: str, model: str, texts: DataFrame) -> None:
    """Embed `_TEXTS_IN_DRIVER` texts at most in this process, and append them."""
    embed = embedding(model, run_id, os.cpu_count(), on_gpu=False)
    rows = pa.Table.from_batches(embed(iter(texts.toArrow().to_batches()))).to_pylist()
    hashes = [row["content_hash"] for row in rows]
    with _appending(settings):
        where = [("embedding_model", "=", model), ("content_hash", "in", hashes)]
        known = {row["content_hash"] for row in read_rows(settings, EMBEDDINGS, where, ["content_hash"])}
        delta.append(settings, EMBEDDINGS, [row for row in rows if row["content_hash"] not in known])


def _appending(settings: Settings) -> FileLock:
    """Held while a job looks which texts are new and appends them: `silver.embeddings` belongs to all tenants."""
    return FileLock(settings.home / "embeddings.lock", fallback_to_soft=False)


def embed_texts(spark: SparkSession, settings: Settings, run_id: str, model: str, texts: DataFrame, count: int) -> None:
    """Append the vectors of the texts (see `missing_texts`) to `silver.embeddings`; `count`: about how many texts.

    Texts are sorted by length, so that the texts of one batch have similar lengths.
    """
    tasks = min(spark.sparkContext.defaultParallelism, math.ceil(count / _TEXTS_PER_WORKER))
    threads = None
    if settings.spark_is_local:
        threads = max(1, (os.cpu_count() or 1) // tasks)
    else:  # with dynamic allocation, waiting tasks start more executors
        tasks = max(tasks, math.ceil(count / _TEXTS_PER_TASK))
    embed = embedding(model, run_id, threads, on_gpu=settings.spark_gpus_per_task > 0)
    alike = texts.repartition(tasks).sortWithinPartitions(F.length("text").desc())
    rows = alike.mapInArrow(embed, struct_type(EMBEDDINGS), profile=gpu_profile(settings))
    if not settings.spark_is_local:
        append(settings, EMBEDDINGS, rows)
        return
    rows = rows.persist()
    try:
        rows.count()  # embeds, before the lock
        with _appending(settings):
            known = read(spark, settings, EMBEDDINGS).filter(F.col("embedding_model") == model).select("content_hash")
            append(settings, EMBEDDINGS, rows.join(known, on="content_hash", how="left_anti"))
    finally:
        rows.unpersist()


def gpu_profile(settings: Settings) -> ResourceProfile | None:
    """The resources that the embedding stage requests; None without GPUs, and on local masters, which schedule none.

    With dynamic allocation it requests executors with a GPU. Fixed executors get their GPU by
    `lakehouse.spark_conf.embedding_conf`.
    """
    if settings.spark_is_local or not settings.spark_gpus_per_task:
        return None
    tasks = TaskResourceRequests().cpus(1).resource("gpu", float(settings.spark_gpus_per_task))
    profile = ResourceProfileBuilder().require(tasks)
    if settings.spark_dynamic_allocation:
        profile.require(ExecutorResourceRequests().resource("gpu", 1))
    return profile.build


def missing_texts(chunks: DataFrame, embeddings: DataFrame, model: str) -> DataFrame:
    """The texts to embed, one row for each distinct text: content_hash, title, heading_path, text."""
    text = F.first(F.struct("title", "heading_path", "text")).alias("_text")
    distinct = chunks.groupBy("content_hash").agg(text).select("content_hash", "_text.*")
    known = embeddings.filter(F.col("embedding_model") == model).select("content_hash")
    return distinct.join(known, on="content_hash", how="left_anti")


def embedding(
    model: str, run_id: str, threads: int | None, *, on_gpu: bool
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """A function for `mapInArrow`: texts in, rows of `silver.embeddings` out. Each worker loads the model once.

    `threads`: threads of the model on a CPU; None: the cores that Spark gives the task.
    """

    def embed_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows == 0:
                continue
            texts = [embedded_text(row["title"], row["heading_path"], row["text"]) for row in batch.to_pylist()]
            embedder = load_embedder(model, _device(threads, on_gpu=on_gpu))
            parts = []
            for part in batched(texts, _TEXTS_PER_REPORT["gpu" if on_gpu else "cpu"]):
                parts.append(embedder.encode(part))
                done(len(part))
            vectors = np.concatenate(parts)
            flat = pa.array(vectors.reshape(-1))
            offsets = pa.array(np.arange(0, len(flat) + 1, vectors.shape[1], dtype=np.int32))
            columns = [
                batch.column("content_hash"),
                pa.array([model] * batch.num_rows),
                pa.ListArray.from_arrays(offsets, flat),
                pa.array([run_id] * batch.num_rows),
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=arrow_schema(EMBEDDINGS))

    return embed_all


def _device(threads: int | None, *, on_gpu: bool) -> str:
    import torch

    task = TaskContext.get()
    if not on_gpu or task is None:
        torch.set_num_threads(threads or (task.cpus() if task else 1))
        return "cpu"
    given = task.resources().get("gpu")
    # a local master schedules no GPUs: its tasks take turns
    address = given.addresses[0] if given else str(task.partitionId() % torch.cuda.device_count())
    return f"cuda:{address}"
