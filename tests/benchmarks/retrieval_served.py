"""Multi-hop and hybrid search as they are served, over a real `milvus-lite server`.

    export OPENBLAS_NUM_THREADS=1  # as the stack starts its parts
    python -m tests.benchmarks.retrieval_served POOL --cache FOLDER
    python -m tests.benchmarks.retrieval_served POOL --cache FOLDER --copies 4 --copies 10 --copies 34 --questions 60

Pools as in tests.benchmarks.retrieval. Weights are the shipped ones, which were learned from both pools: recall here
shows that the served search does what the cross-validated one does, and the milliseconds are a user's, encoding
included. Hybrid and multihop take turns, question by question, and so do the server as the stack starts it and, over a
copy of its folder, `milvus-lite server` as it comes. Beside the time that passed stands the processor's, of the
searching thread and of the engine, which is what the former would be on a machine with nothing else to do. `first` is a
question whose passages were not read before; every question is asked twice.

With `--copies` the corpus is enlarged by copies whose names and vectors are others, for the growth of time. They are
synthetic: recall there says little.
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
from lakehouse.index.layout import IndexRow
from lakehouse.index.passages import Passage
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


@dataclass
class Times:
    """Milliseconds of each question: passed, of the searching thread's processor, of the engine's."""

    passed: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)

    def add(self, search: Callable[[str], list[Passage]], text: str, engine_clock: int) -> list[Passage]:
        passed, ours, engine = time.perf_counter(), time.thread_time(), time.clock_gettime(engine_clock)
        found = search(text)
        self.engine.append(1000 * (time.clock_gettime(engine_clock) - engine))
        self.ours.append(1000 * (time.thread_time() - ours))
        self.passed.append(1000 * (time.perf_counter() - passed))
        return found

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
    """Ask each question by each search, with its engine's clock, twice; print recall and times of each."""
    first, again = ({name: Times() for name in searches} for _ in range(2))
    found: dict[str, list[list[int]]] = {name: [] for name in searches}
    questions = pool.questions[:count]
    for search, _ in searches.values():
        search(pool.questions[-1].text)  # what is loaded by the first question
    for times in (first, again):
        for question in questions:
            for name, (search, engine_clock) in searches.items():
                passages = times[name].add(search, question.text, engine_clock)
                if times is first:
                    found[name].append(
                        [int(p.chunk_id.split("-")[0]) if p.chunk_id.endswith("-0") else -1 for p in passages]
                    )
    for name in searches:
        values = recalls(found[name], [question.gold for question in questions])
        print(f"  {name:22} recall " + " / ".join(f"{value:.1f}" for value in values))
        print(f"    first: {first[name]}\n    again: {again[name]}", flush=True)
    return again


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
@click.option("--copies", type=click.IntRange(1), multiple=True, default=(1,), help="How many times the corpus.")
@click.option("--questions", type=click.IntRange(1), default=1000, help="How many of them.")
def main(folder: Path, cache: Path, copies: tuple[int, ...], questions: int) -> None:
    """Print recall at 2, 5 and 10 in per cent, and milliseconds a question, of hybrid and multihop."""
    pool = PoolIndex(folder.resolve(), cache)
    grown: dict[int, dict[str, Times]] = {}
    for of in copies:
        grown[of] = served(pool, of, questions)
    if len(copies) > 1:
        for name in grown[copies[0]]:
            sizes = [math.log(of) for of in copies]
            spent = [math.log(grown[of][name].processor) for of in copies]
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
    """Both modes by one server, from a question's text on."""
    embedder = load_embedder(BUNDLED_MODEL)
    index = Index(settings)
    index.settle(collection)
    multihop = MultihopSearch(index, FrequencyDirectory(settings), shipped_weights())

    def hybrid(text: str) -> list[Passage]:
        vector = embedder.encode([text])[0]
        return index.search(TENANT, ALLOWED, query=text, vector=vector, mode="hybrid", k=10, collection=collection)

    def hops(text: str) -> list[Passage]:
        vector = embedder.encode([text])[0]
        return multihop.search(TENANT, ALLOWED, query=text, vector=vector, k=10, collection=collection)

    return {"hybrid": hybrid, "multihop": hops}


if __name__ == "__main__":
    main()
