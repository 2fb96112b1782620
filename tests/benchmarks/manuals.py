"""Search in real manuals: recall of the chunks, and of the documents, that the 64 two-hop questions need.

    python -m tests.benchmarks.manuals FOLDER --cache FOLDER --failures 10

FOLDER holds the corpora that tests/benchmarks/manual_questions.jsonl names. They are parsed and cut by the product,
without Spark, and searched as they are served. The weights are the shipped ones: they were learned from encyclopedia
passages, so no manual was seen by them. With 64 questions an interval is wide; the paired difference tells more.
"""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from lakehouse.index.index import Mode
from lakehouse.index.passages import Passage
from lakehouse.text.scoring import recall_at
from tests.benchmarks.intervals import difference, shown
from tests.benchmarks.manual_connections import Connection, Connections
from tests.benchmarks.manual_index import Manual, ManualQuestion, manual_questions, questions_of
from tests.benchmarks.manual_served import Served, served

CUTS = (2, 5, 10)
MODES: tuple[Mode, ...] = ("dense", "lexical", "hybrid", "multihop")
LOOKED_AT = 30
"""Passages of a question that are fetched, so that misses can be told from late ones."""
_SEED = 7


@dataclass(frozen=True)
class Asked:
    """What one question needs and what a mode found for it, best first."""

    question: ManualQuestion
    gold: Sequence[str]
    connection: Connection
    found: Sequence[Passage]

    def of_chunks(self, cut: int) -> float:
        return recall_at(cut, self.gold, [one.chunk_id for one in self.found])

    def of_documents(self, cut: int) -> float:
        """Of what a reader of the first passages has before them; several may be of one document."""
        return recall_at(cut, list(self.question.gold), [one.doc_id for one in self.found[:cut]])


def ask(
    index: Served, needs: Mapping[ManualQuestion, Sequence[str]], connections: Connections, mode: Mode
) -> tuple[list[Asked], float]:
    """What a mode finds for questions whose chunks are known, and the median of its milliseconds a question."""
    index.search("a first search builds what later ones use", mode, LOOKED_AT)
    asked, spent = [], []
    for question, gold in needs.items():
        begun = time.perf_counter()
        found = index.search(question.text, mode, LOOKED_AT)
        spent.append(1000 * (time.perf_counter() - begun))
        asked.append(Asked(question, gold, connections.between(gold), found))
    return asked, statistics.median(spent)


def table(results: Mapping[Mode, Sequence[Asked]], spent: Mapping[Mode, float]) -> None:
    for name, recall in (("chunks", Asked.of_chunks), ("documents", Asked.of_documents)):
        for mode, asked in results.items():
            cells = "   ".join(shown([recall(one, cut) for one in asked]) for cut in CUTS)
            time_taken = f"   p50 {spent[mode]:.0f} ms" if name == "chunks" else ""
            print(f"  {name:9} {mode:9} {cells}{time_taken}", flush=True)
        compared = "   ".join(
            difference(
                [recall(one, cut) for one in results["multihop"]], [recall(one, cut) for one in results["hybrid"]]
            )
            for cut in CUTS
        )
        print(f"  {name:9} multihop - hybrid: {compared}", flush=True)


def by_connection(results: Mapping[Mode, Sequence[Asked]]) -> None:
    """Recall of chunks at 5 by what leads from a question's first chunk to its second."""
    for connection in get_args(Connection):
        of = {mode: [one.of_chunks(5) for one in results[mode] if one.connection == connection] for mode in MODES[2:]}
        if of["multihop"]:
            cells = ", ".join(f"{mode} {100 * statistics.fmean(values):.1f}" for mode, values in of.items())
            print(f"  {connection}, {len(of['multihop'])} questions: {cells}", flush=True)


def show_failures(asked: Sequence[Asked], hybrid: Sequence[Asked], count: int) -> None:
    missed = [(one, other) for one, other in zip(asked, hybrid, strict=True) if one.of_chunks(5) < 1]
    for one, other in random.Random(_SEED).sample(missed, min(count, len(missed))):  # noqa: S311
        print(f"  {one.question.id} {one.question.text}")
        for chunk, (doc_id, says) in zip(one.gold, one.question.gold.items(), strict=True):
            print(f"    needed at {_place(chunk, one)} (hybrid {_place(chunk, other)}): {doc_id}: {says}")
        for passage in one.found[:5]:
            path = " <- ".join(f"{step.how} {step.via!r} {step.title}" for step in reversed(passage.path))
            print(f"    {passage.probability:.2f} {passage.title} › {passage.heading} {path} {list(passage.covers)}")


def _place(chunk: str, asked: Asked) -> str:
    ids = [one.chunk_id for one in asked.found]
    return str(ids.index(chunk) + 1) if chunk in ids else "never"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
@click.option("--failures", type=int, default=0, help="Show this many questions a manual that miss a chunk in five.")
def main(folder: Path, cache: Path, failures: int) -> None:
    """Print recall at 2, 5 and 10 in per cent with 95 % intervals, and milliseconds a question."""
    questions = manual_questions()
    together: dict[Mode, list[Asked]] = {mode: [] for mode in MODES}
    times: dict[Mode, list[float]] = {mode: [] for mode in MODES}
    for corpus in sorted({one.corpus for one in questions}):
        manual, of_it = Manual(folder / corpus), questions_of(corpus, questions)
        print(f"{corpus}: {len(manual.by_document)} documents, {len(manual.chunks)} chunks, {len(of_it)} questions")
        needs, connections = {one: manual.gold_chunks(one) for one in of_it}, Connections(manual)
        with served(manual, of_it, cache) as index:
            results: dict[Mode, list[Asked]] = {}
            for mode in MODES:
                results[mode], spent = ask(index, needs, connections, mode)
                times[mode].append(spent)
                together[mode] += results[mode]
        table(results, {mode: spent[-1] for mode, spent in times.items()})
        by_connection(results)
        show_failures(results["multihop"], results["hybrid"], failures)
    print(f"all: {len(questions)} questions")
    table(together, {mode: statistics.fmean(spent) for mode, spent in times.items()})
    by_connection(together)


if __name__ == "__main__":
    main()
