"""A driver program for tests: our jobs, whose tasks note which GPUs Spark gave them.

The GPUs of the test's cluster are made up, so nothing can be computed on them and vectors are zeros; how tasks get
their GPUs, and everything else, is what the jobs do.
"""

import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import TaskContext

from lakehouse.storage.delta import arrow_schema
from lakehouse.tables import EMBEDDINGS
from spark_jobs.documents import chunk as chunk_documents
from spark_jobs.index import embed as embed_chunks
from spark_jobs.main import main

MapInArrow = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
NOTES = os.environ["GPU_NOTES"]


def noting(stage: str, work: MapInArrow) -> MapInArrow:
    def noted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        assert task is not None
        given = {name: info.addresses for name, info in task.resources().items()}
        code = import_module("spark_jobs").__file__
        (Path(NOTES) / uuid.uuid4().hex).write_text(json.dumps({"stage": stage, "given": given, "code": code}))
        return work(batches)

    return noted


real_chunking = chunk_documents.chunking


def embedding(model: str, run_id: str, threads: int | None, *, on_gpu: bool) -> MapInArrow:
    def zeros(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = [
                {"content_hash": text, "embedding_model": model, "vector": [0.0, 0.0], "ingest_run_id": run_id}
                for text in batch.column("content_hash").to_pylist()
            ]
            yield pa.RecordBatch.from_pylist(rows, arrow_schema(EMBEDDINGS))

    return noting("embed" if on_gpu else "embed on the CPU", zeros)


def chunking(*arguments: Any) -> MapInArrow:
    return noting("chunk", real_chunking(*arguments))


if __name__ == "__main__":
    embed_chunks.embedding, chunk_documents.chunking = embedding, chunking
    sys.exit(main())
