"""Search in real manuals: recall of the chunks, and of the documents, that the 64 two-hop questions need.

    python -m tests.benchmarks.manuals FOLDER --cache FOLDER --failures 10

FOLDER holds the corpora that tests/benchmarks/manual_questions.jsonl names. The product parses and cuts them, without
Spark, and serves the searches. The shipped weights were learned from encyclopedia passages, not from manuals. With 64
questions an interval is wide; the paired difference is more precise.
"""

import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click

from lakehouse.index.passages import Mode, Passage
from lakehouse.text.scoring import recall_at
from tests.benchmarks.intervals import difference, with_interval
from tests.benchmarks.manual_connections import Connection, Connections
from tests.benchmarks.manual_index import Manual, ManualQuestion, manual_questions, questions_of
from tests.benchmarks.manual_served import Served, served

CUTS = (2, 5, 10)
MODES: tuple[Mode, ...] = ("dense", "lexical", "hybrid", "multihop")
FETCHED = 30
"""Passages fetched for a question, to tell a chunk that is found late from one that is not found."""
_SEED = 7


@dataclass(frozen=True)
class Asked:
    """A question with the chunks that it needs and the passages that a mode found, best first."""

    question: ManualQuestion
    gold: Sequence[str]
    connection: Connection
    passages: Sequence[Passage]

    def of_chunks(self, cut: int) -> float:
        """Recall of chunks."""
        return recall_at(cut, self.gold, [passage.chunk_id for passage in self.passages])

    def of_documents(self, cut: int) -> float:
        """Recall of documents in the first `cut` passages; several may be of one document."""
        return recall_at(cut, list(self.question.gold), [passage.doc_id for passage in self.passages[:cut]])


def ask(
    index: Served, needs: Mapping[ManualQuestion, Sequence[str]], connections: Connections, mode: Mode
) -> tuple[list[Asked], float]:
    """The results of a mode for questions with known chunks, and the median milliseconds per question."""
    index.search("a first search builds what later ones use", mode, FETCHED)
    asked, spent = [], []
    for question, gold in needs.items():
        begun = time.perf_counter()
        passages = index.search(question.text, mode, FETCHED)
        spent.append(1000 * (time.perf_counter() - begun))
        asked.append(Asked(question, gold, connections.between(gold), passages))
    return asked, statistics.median(spent)


def table(results: Mapping[Mode, Sequence[Asked]], spent: Mapping[Mode, float]) -> None:
    for name, recall in (("chunks", Asked.of_chunks), ("documents", Asked.of_documents)):
        for mode, asked in results.items():
            cells = "   ".join(with_interval([recall(result, cut) for result in asked]) for cut in CUTS)
            time_taken = f"   p50 {spent[mode]:.0f} ms" if name == "chunks" else ""
            print(f"  {name:9} {mode:9} {cells}{time_taken}", flush=True)
        compared = "   ".join(
            difference(
                [recall(result, cut) for result in results["multihop"]],
                [recall(result, cut) for result in results["hybrid"]],
            )
            for cut in CUTS
        )
        print(f"  {name:9} multihop - hybrid: {compared}", flush=True)


def by_connection(results: Mapping[Mode, Sequence[Asked]]) -> None:
    """Print recall of chunks at 5 by the connection between a question's chunks."""
    for connection in get_args(Connection):
        recalls = {
            mode: [result.of_chunks(5) for result in results[mode] if result.connection == connection]
            for mode in MODES[2:]
        }
        if recalls["multihop"]:
            cells = ", ".join(f"{mode} {100 * statistics.fmean(values):.1f}" for mode, values in recalls.items())
            print(f"  {connection}, {len(recalls['multihop'])} questions: {cells}", flush=True)


def show_failures(asked: Sequence[Asked], hybrid: Sequence[Asked], count: int) -> None:
    missed = [(result, other) for result, other in zip(asked, hybrid, strict=True) if result.of_chunks(5) < 1]
    for result, other in random.Random(_SEED).sample(missed, min(count, len(missed))):  # noqa: S311
        print(f"  {result.question.id} {result.question.text}")
        for chunk, (doc_id, says) in zip(result.gold, result.question.gold.items(), strict=True):
            print(f"    needed at {_place(chunk, result)} (hybrid {_place(chunk, other)}): {doc_id}: {says}")
        for passage in result.passages[:5]:
            path = " <- ".join(f"{step.how} {step.via!r} {step.title}" for step in reversed(passage.path))
            print(f"    {passage.probability:.2f} {passage.title} › {passage.heading} {path} {list(passage.covers)}")


def _place(chunk: str, asked: Asked) -> str:
    ids = [passage.chunk_id for passage in asked.passages]
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
    for corpus in sorted({question.corpus for question in questions}):
        manual, about_manual = Manual(folder / corpus), questions_of(corpus, questions)
        print(
            f"{corpus}: {len(manual.by_document)} documents, {len(manual.chunks)} chunks, {len(about_manual)} questions"
        )
        needs = {question: manual.gold_chunks(question) for question in about_manual}
        connections = Connections(manual)
        with served(manual, about_manual, cache) as index:
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
