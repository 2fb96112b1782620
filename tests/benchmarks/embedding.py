"""The embedding stage of Spark against `SentenceTransformer.encode`, and the gain of sorting by length.

    python -m tests.benchmarks.embedding FOLDER… [--chunks 5000]

The texts are chunks of Markdown files. The stage is the ingest's, with its Delta append, in `local[1]` with a warm
worker; `encode` has the same texts, batch size and number of threads (one), in this process. Both take turns. E is the
stage's chunks a second over those of `encode`.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the import: one core each

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import click
import torch
from pyspark.sql import DataFrame, SparkSession
from sentence_transformers import SentenceTransformer

from lakehouse.index.embedding import CPU_BATCH, embedded_text, load_embedder, load_tokenizer
from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables, open_table
from lakehouse.storage.spark import spark_session
from lakehouse.tables import EMBEDDINGS
from spark_jobs.documents.chunk import chunk_rows
from spark_jobs.index.embed import embed_texts

_COLUMNS = ("content_hash", "title", "heading_path", "text")
_WARM_UP = 64


def distinct_chunks(
    folders: Sequence[Path], settings: Settings, count: int, max_tokens: int
) -> list[dict[str, object]]:
    """Rows of `silver.chunks` of the folders, each text once, in the order of their hashes, as a shuffle gives them."""
    tokenizer = load_tokenizer(settings.embedding_model)
    chunks: dict[str, dict[str, object]] = {}
    for file in (file for folder in folders for file in sorted(folder.rglob("*.md"))):
        document = {"tenant_id": "t", "source": "s", "doc_id": str(file), "uri": str(file), "acl_groups": []}
        document |= {"title": file.stem, "text": file.read_text(encoding="utf-8", errors="replace")}
        for row in chunk_rows(document, tokenizer, max_tokens, "run"):
            chunks[row["content_hash"]] = {name: row[name] for name in _COLUMNS}
    if len(chunks) < count:
        raise click.ClickException(f"{len(chunks)} distinct chunks found, {count} needed. Name more folders.")
    return [chunks[key] for key in sorted(chunks, key=lambda key: sha256(key.encode()).digest())][:count]


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def staged(spark: SparkSession, settings: Settings, texts: DataFrame, count: int) -> None:
    """The embedding stage of an ingest, as `embed_chunks` runs it for the texts without a vector."""
    before = open_table(settings, EMBEDDINGS).to_pyarrow_dataset().count_rows()
    embed_texts(spark, settings, "run", settings.embedding_model, texts, count)
    assert open_table(settings, EMBEDDINGS).to_pyarrow_dataset().count_rows() == before + count


def encoded(model: SentenceTransformer, texts: list[str]) -> None:
    vectors = model.encode(texts, batch_size=CPU_BATCH, normalize_embeddings=True, show_progress_bar=False)
    assert len(vectors) == len(texts)


def unsorted(model: SentenceTransformer, texts: list[str]) -> None:
    for first in range(0, len(texts), CPU_BATCH):  # the library sorts within a call, so each call is one batch
        encoded(model, texts[first : first + CPU_BATCH])


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--chunks", default=5000, show_default=True)
@click.option("--max-tokens", default=200, show_default=True, help="Longest chunk, in tokens.")
@click.option("--rounds", default=2, show_default=True)
def main(folders: tuple[Path, ...], chunks: int, max_tokens: int, rounds: int) -> None:
    """Print E of each round, and chunks a second with and without sorting."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), spark_master="local[1]", spark_driver_memory="2g")
        ensure_tables(settings)
        rows = distinct_chunks(folders, settings, chunks, max_tokens)
        plain = [embedded_text(str(row["title"]), row["heading_path"], str(row["text"])) for row in rows]  # type: ignore[arg-type]
        words = sum(len(text.split()) for text in plain)
        print(f"{len(plain)} distinct chunks of at most {max_tokens} tokens, {words / len(plain):.0f} words on average")
        os.cpu_count = lambda: 1  # type: ignore[assignment,method-assign]  # one thread for the stage's arithmetic too
        torch.set_num_threads(1)
        model = load_embedder(settings.embedding_model)._model
        encoded(model, plain[:_WARM_UP])
        spark = spark_session(settings, "benchmark")
        try:
            schema = "content_hash STRING, title STRING, heading_path ARRAY<STRING>, text STRING"
            texts = spark.createDataFrame([tuple(row[name] for name in _COLUMNS) for row in rows], schema).persist()
            texts.count()
            first = seconds(lambda: staged(spark, settings, texts.limit(_WARM_UP), _WARM_UP))
            print(f"cold worker, {_WARM_UP} chunks: {first:.1f} s, the cost of loading")
            took: dict[str, list[float]] = {"stage": [], "encode": [], "unsorted": []}
            for number in range(rounds):
                took["encode"].append(seconds(lambda: encoded(model, plain)))
                staged(spark, settings, texts.limit(_WARM_UP), _WARM_UP)  # Spark ends a worker that idled for a minute
                took["stage"].append(seconds(lambda: staged(spark, settings, texts, chunks)))
                took["unsorted"].append(seconds(lambda: unsorted(model, plain)))
                print(f"round {number + 1}: " + ", ".join(
                    f"{name} {chunks / times[-1]:.1f} chunks/s" for name, times in took.items()
                ) + f", E = {took['encode'][-1] / took['stage'][-1]:.3f}", flush=True)  # fmt: skip
        finally:
            spark.stop()
    print(
        f"E: {spread(took['encode'], took['stage'])}; sorted over unsorted: {spread(took['unsorted'], took['encode'])}"
    )


def spread(slower: Sequence[float], faster: Sequence[float]) -> str:
    ratios = [slow / fast for slow, fast in zip(slower, faster, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} rounds)"


if __name__ == "__main__":
    main()
