"""Search by document beside search by passage, over a real `milvus-lite server`: recall by document, and milliseconds.

    export OPENBLAS_NUM_THREADS=1  # as the stack starts its parts
    python -m tests.benchmarks.by_document POOL --cache FOLDER --questions 100 --passages 1 --passages 6

Pools as in tests.benchmarks.retrieval, where a document is one passage. `--passages` repeats each document's passage
so often, with other vectors nearby, as a long document has several that fit a question. Both searches take turns.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from lakehouse.index.embedding import BUNDLED_MODEL, load_embedder
from lakehouse.index.index import Index
from lakehouse.index.passages import Passage
from lakehouse.index.rows import IndexRow
from lakehouse.retrieval.by_document import best_documents
from lakehouse.settings import Settings
from lakehouse.text.scoring import recall_at
from tests.benchmarks.pool_index import PoolIndex
from tests.benchmarks.retrieval_served import PORT, TENANT
from tests.lite_server import LiteServer

ALLOWED = ["everyone"]
K = 5


def rows(pool: PoolIndex, passages: int) -> list[IndexRow]:
    """Each document of the pool as so many passages."""
    random = np.random.default_rng(7)
    return [
        IndexRow(
            chunk_id=f"{number}-{repeat}", tenant_id=TENANT, acl_key="everyone", doc_id=str(number), source="pool",
            title=document["title"], heading="", text=document["text"], uri="",
            vector=pool.vectors[number] + random.normal(scale=0.01 * min(repeat, 1), size=pool.vectors.shape[1]),
        )
        for number, document in enumerate(pool.documents)
        for repeat in range(passages)
    ]  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
@click.option("--questions", "count", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--passages", "sizes", type=click.IntRange(min=1), multiple=True, default=(1,), help="Of each document.")
def main(folder: Path, cache: Path, count: int, sizes: tuple[int, ...]) -> None:
    """Print recall at five documents and the median milliseconds of both searches."""
    pool = PoolIndex(folder.resolve(), cache)
    embedder = load_embedder(BUNDLED_MODEL)
    with tempfile.TemporaryDirectory() as home:
        server = LiteServer(Path(home), PORT)
        server.start()
        index = Index(Settings(milvus_uri=f"http://127.0.0.1:{PORT}"))
        try:
            for passages in sizes:
                collection = index.collections.create(TENANT, pool.vectors.shape[1])
                index.writer.upsert(collection, rows(pool, passages))
                index.collections.publish(TENANT, collection)
                _measure(pool, count, passages, _searches(index, embedder.encode, collection))
        finally:
            index.close()
            server.stop()


def _searches(
    index: Index, encode: Callable[[list[str]], np.ndarray], collection: str
) -> dict[str, Callable[[str], list[Passage]]]:
    def find(text: str, vector: np.ndarray, k: int) -> list[Passage]:
        return index.reader.search(
            TENANT, ALLOWED, query=text, vector=vector, mode="hybrid", k=k, collection=collection
        )

    def by_passage(text: str) -> list[Passage]:
        return find(text, encode([text])[0], K)

    def by_document(text: str) -> list[Passage]:
        vector = encode([text])[0]
        return best_documents(lambda depth: find(text, vector, depth), K, 1, lambda passage: False, 0)

    return {"by passage": by_passage, "by document": by_document}


def _measure(pool: PoolIndex, count: int, passages: int, searches: dict[str, Callable[[str], list[Passage]]]) -> None:
    recalls: dict[str, list[float]] = {name: [] for name in searches}
    times: dict[str, list[float]] = {name: [] for name in searches}
    for question in [pool.questions[-1], *pool.questions[:count]]:  # the first warms up
        for name, search in searches.items():
            began = time.perf_counter()
            found = search(question.text)
            times[name].append(1000 * (time.perf_counter() - began))
            recalls[name].append(recall_at(K, [str(n) for n in question.gold], [one.doc_id for one in found]))
    print(f"{pool.name}, {passages} passages a document, {count} questions")
    for name in searches:
        recall, p50 = 100 * statistics.fmean(recalls[name][1:]), statistics.median(times[name][1:])
        print(f"  {name:12} recall@{K} {recall:.1f}, p50 {p50:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
