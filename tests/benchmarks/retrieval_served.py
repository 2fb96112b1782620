"""Multi-hop and hybrid search as they are served: `lakehouse.multihop_search` over a real `milvus-lite server`.

    python -m tests.benchmarks.retrieval_served POOL --cache FOLDER --copies 1

Pools as in tests.benchmarks.retrieval. Weights are the shipped ones, which were learned from both pools: recall here
shows that the served search does what the cross-validated one does, and the milliseconds are a user's, encoding
included. With `--copies` the corpus is enlarged by copies whose names and vectors are others, for the growth of time.
"""

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

from lakehouse.collection import IndexRow
from lakehouse.delta import append
from lakehouse.embedding import BUNDLED_MODEL, load_embedder
from lakehouse.frequencies import FrequencyDirectory
from lakehouse.index import Index
from lakehouse.multihop import shipped_weights
from lakehouse.multihop_search import MultihopSearch
from lakehouse.name_keys import counted_keys, hashed
from lakehouse.passages import Passage
from lakehouse.settings import Settings
from lakehouse.tables import FREQUENCIES
from tests.benchmarks.pool_index import PoolIndex
from tests.benchmarks.retrieval import recalls
from tests.lite_server import LiteServer

TENANT = "bench"
ALLOWED = ["everyone"]
PORT = 39_731


def rows(pool: PoolIndex, copies: int) -> Iterator[IndexRow]:
    random = np.random.default_rng(7)
    for copy in range(copies):
        for number, document in enumerate(pool.documents):
            text, title = document["text"], document["title"]
            vector = pool.vectors[number]
            if copy:  # other names of the same shape, and a vector as near to it as another passage is
                text, title = _renamed(text, copy), _renamed(title, copy)
                vector = vector + random.normal(scale=0.04, size=vector.shape).astype(np.float32)
            yield IndexRow(
                chunk_id=f"{number}-{copy}", tenant_id=TENANT, acl_key="everyone", doc_id=str(number), source="pool",
                title=title, heading="", text=text, uri="", vector=vector,
            )  # fmt: skip


def _renamed(text: str, copy: int) -> str:
    return " ".join(f"{word}{copy}" if word[:1].isupper() else word for word in text.split())


def build(settings: Settings, index: Index, pool: PoolIndex, copies: int) -> str:
    collection = index.create_collection(TENANT, pool.vectors.shape[1])
    index.upsert(collection, rows(pool, copies))
    index.publish(TENANT, collection)
    counts: Counter[str] = Counter()
    for row in rows(pool, copies):
        counts.update(counted_keys(row["title"], "", row["text"]))
    shared = {"tenant_id": TENANT, "ingest_run_id": "bench"}
    append(settings, FREQUENCIES, [shared | {"key": hashed(key), "chunks": count} for key, count in counts.items()])
    return collection


def measure(label: str, pool: PoolIndex, search: Callable[[str], list[Passage]]) -> None:
    found, spent = [], []
    for question in pool.questions:
        begun = time.perf_counter()
        passages = search(question.text)
        spent.append(1000 * (time.perf_counter() - begun))
        found.append([int(one.chunk_id.split("-")[0]) if one.chunk_id.endswith("-0") else -1 for one in passages])
    numbers = " / ".join(f"{value:5.1f}" for value in recalls(found, [question.gold for question in pool.questions]))
    p99 = sorted(spent)[int(len(spent) * 0.99)]
    print(f"  {label:10} {numbers}   p50 {statistics.median(spent):.0f} ms, p99 {p99:.0f} ms", flush=True)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
@click.option("--copies", type=click.IntRange(1), default=1, help="How many times the corpus.")
def main(folder: Path, cache: Path, copies: int) -> None:
    """Print recall at 2, 5 and 10 in per cent, and milliseconds a question, of hybrid and multihop."""
    pool = PoolIndex(folder.resolve(), cache)
    embedder = load_embedder(BUNDLED_MODEL)
    with tempfile.TemporaryDirectory() as home:
        server = LiteServer(Path(home) / "milvus", PORT)
        server.start()
        try:
            settings = Settings(home=Path(home), milvus_uri=f"http://127.0.0.1:{PORT}")
            index = Index(settings)
            begun = time.perf_counter()
            collection = build(settings, index, pool, copies)
            print(f"{pool.name}: {copies * len(pool.documents)} passages, "
                  f"indexed in {time.perf_counter() - begun:.0f} s without embedding")  # fmt: skip
            multihop = MultihopSearch(index, FrequencyDirectory(settings), shipped_weights())

            def hybrid(text: str) -> list[Passage]:
                vector = embedder.encode([text])[0]
                return index.search(TENANT, ALLOWED, query=text, vector=vector, mode="hybrid", k=10)

            def hops(text: str) -> list[Passage]:
                vector = embedder.encode([text])[0]
                return multihop.search(TENANT, ALLOWED, query=text, vector=vector, k=10, collection=collection)

            for label, search in (("hybrid", hybrid), ("multihop", hops)):
                search(pool.questions[0].text)
                measure(label, pool, search)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
