"""Served multi-hop and hybrid search, over a real `milvus-lite server`.

    export OPENBLAS_NUM_THREADS=1  # as the stack starts its parts
    python -m tests.benchmarks.retrieval_served POOL --cache FOLDER
    python -m tests.benchmarks.retrieval_served POOL --cache FOLDER --copies 4 --copies 10 --copies 34 --questions 60

Pools as in tests.benchmarks.retrieval. The shipped weights were learned from both pools: recall here shows that the
served search agrees with the cross-validated one, and the milliseconds are a user's, with encoding. Hybrid and multihop
take turns, question by question; so do the server as the stack starts it and an unpatched `milvus-lite server` over a
copy of its folder. Beside the wall time stands the processor time of the searching thread and of the engine, which is
the wall time on an idle machine. Every question is asked twice; `first` is without warm caches.

`--copies` enlarges the corpus by copies with other names and vectors, to measure the growth of time. They are
synthetic, so recall there says little.
"""

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from lakehouse.index.embedding import BUNDLED_MODEL, load_embedder
from lakehouse.index.frequencies import FrequencyDirectory
from lakehouse.index.index import Index
from lakehouse.index.passages import Passage
from lakehouse.index.rows import IndexRow
from lakehouse.retrieval.multihop.ranking import shipped_weights
from lakehouse.retrieval.multihop.search import MultihopSearch
from lakehouse.settings import Settings
from lakehouse.storage.delta import append
from lakehouse.tables import FREQUENCIES
from lakehouse.text.name_keys import counted_keys, hashed
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
            if copy:  # other names of the same shape, and a vector as distant as another passage's
                text, title = _renamed(text, copy), _renamed(title, copy)
                vector = vector + random.normal(scale=0.04, size=vector.shape).astype(np.float32)
            yield IndexRow(
                chunk_id=f"{number}-{copy}", tenant_id=TENANT, acl_key="everyone", doc_id=str(number), source="pool",
                title=title, heading="", text=text, uri="", vector=vector,
            )  # fmt: skip


def _renamed(text: str, copy: int) -> str:
    return " ".join(f"{word}{copy}" if word[:1].isupper() else word for word in text.split())


def build(settings: Settings, index: Index, pool: PoolIndex, copies: int) -> str:
    collection = index.collections.create(TENANT, pool.vectors.shape[1])
    index.writer.upsert(collection, rows(pool, copies))
    index.collections.publish(TENANT, collection)
    counts: Counter[str] = Counter()
    for row in rows(pool, copies):
        counts.update(counted_keys(row["title"], "", row["text"]))
    shared = {"tenant_id": TENANT, "ingest_run_id": "bench"}
    append(settings, FREQUENCIES, [shared | {"key": hashed(key), "chunks": count} for key, count in counts.items()])
    return collection


@dataclass
class Times:
    """Milliseconds per question: wall time, and processor time of the searching thread and of the engine."""

    passed: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)

    def add(self, search: Callable[[str], list[Passage]], text: str, engine_clock: int) -> list[Passage]:
        passed, ours, engine = time.perf_counter(), time.thread_time(), time.clock_gettime(engine_clock)
        passages = search(text)
        self.engine.append(1000 * (time.clock_gettime(engine_clock) - engine))
        self.ours.append(1000 * (time.thread_time() - ours))
        self.passed.append(1000 * (time.perf_counter() - passed))
        return passages

    def __str__(self) -> str:
        both = [ours + engine for ours, engine in zip(self.ours, self.engine, strict=True)]
        return (
            f"passed p50 {_at(self.passed, 0.5):4.0f} p99 {_at(self.passed, 0.99):4.0f} ms; "
            f"processor p50 {self.processor:4.0f} p99 {_at(both, 0.99):4.0f} ms, "
            f"of it ours {_at(self.ours, 0.5):3.0f}, the engine's {_at(self.engine, 0.5):3.0f}"
        )

    @property
    def processor(self) -> float:
        return _at([ours + engine for ours, engine in zip(self.ours, self.engine, strict=True)], 0.5)


def _at(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def measure(
    pool: PoolIndex, searches: Mapping[str, tuple[Callable[[str], list[Passage]], int]], count: int
) -> dict[str, Times]:
    """Ask each question twice by each search, with its engine's clock, and print recall and times."""
    first, again = ({name: Times() for name in searches} for _ in range(2))
    ranked: dict[str, list[list[int]]] = {name: [] for name in searches}
    questions = pool.questions[:count]
    for search, _ in searches.values():
        search(pool.questions[-1].text)  # the first question loads models
    for times in (first, again):
        for question in questions:
            for name, (search, engine_clock) in searches.items():
                passages = times[name].add(search, question.text, engine_clock)
                if times is first:
                    ranked[name].append(
                        [int(p.chunk_id.split("-")[0]) if p.chunk_id.endswith("-0") else -1 for p in passages]
                    )
    for name in searches:
        values = recalls(ranked[name], [question.gold for question in questions])
        print(f"  {name:22} recall " + " / ".join(f"{value:.1f}" for value in values))
        print(f"    first: {first[name]}\n    again: {again[name]}", flush=True)
    return again


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder that keeps vectors."
)
@click.option("--copies", type=click.IntRange(1), multiple=True, default=(1,), help="The corpus so many times.")
@click.option("--questions", type=click.IntRange(1), default=1000, help="How many of them.")
def main(folder: Path, cache: Path, copies: tuple[int, ...], questions: int) -> None:
    """Print recall at 2, 5 and 10 in per cent, and milliseconds a question, of hybrid and multihop."""
    pool = PoolIndex(folder.resolve(), cache)
    by_copies: dict[int, dict[str, Times]] = {}
    for count in copies:
        by_copies[count] = served(pool, count, questions)
    if len(copies) > 1:
        for name in by_copies[copies[0]]:
            sizes = [math.log(count) for count in copies]
            spent = [math.log(by_copies[count][name].processor) for count in copies]
            print(f"{name}: processor time grows by size to the power of {np.polyfit(sizes, spent, 1)[0]:.2f}")


def served(pool: PoolIndex, copies: int, questions: int) -> dict[str, Times]:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), milvus_uri=f"http://127.0.0.1:{PORT}")
        as_started = LiteServer(Path(home) / "milvus", PORT)
        as_it_comes = LiteServer(Path(home) / "copy", PORT + 1, module=("milvus_lite", "server"))
        try:
            as_started.start()
            begun = time.perf_counter()
            collection = build(settings, Index(settings), pool, copies)
            print(f"{pool.name}: {copies * len(pool.documents)} passages, "
                  f"indexed in {time.perf_counter() - begun:.0f} s without embedding", flush=True)  # fmt: skip
            as_started.stop()
            shutil.copytree(as_started.folder, as_it_comes.folder)
            searches: dict[str, tuple[Callable[[str], list[Passage]], int]] = {}
            for server, name in ((as_started, ""), (as_it_comes, ", as it comes")):
                server.start()
                assert server.process is not None
                engine_clock = (~server.process.pid << 3) | 2  # Linux's clock of another process's processor time
                at = settings.model_copy(update={"milvus_uri": f"http://127.0.0.1:{server.port}"})
                for mode, search in searches_of(at, collection).items():
                    searches[mode + name] = (search, engine_clock)
            return measure(pool, searches, questions)
        finally:
            as_started.stop()
            as_it_comes.stop()


def searches_of(settings: Settings, collection: str) -> dict[str, Callable[[str], list[Passage]]]:
    """Both modes of one server, encoding included."""
    embedder = load_embedder(BUNDLED_MODEL)
    index = Index(settings)
    index.collections.settle(collection)
    multihop = MultihopSearch(index, FrequencyDirectory(settings), shipped_weights())

    def hybrid(text: str) -> list[Passage]:
        vector = embedder.encode([text])[0]
        return index.reader.search(
            TENANT, ALLOWED, query=text, vector=vector, mode="hybrid", k=10, collection=collection
        )

    def hops(text: str) -> list[Passage]:
        vector = embedder.encode([text])[0]
        return multihop.search(TENANT, ALLOWED, query=text, vector=vector, k=10, collection=collection)

    return {"hybrid": hybrid, "multihop": hops}


if __name__ == "__main__":
    main()
