"""The fleet's model as reranker (LAKEHOP_RERANKER=llm): recall before and after, its cost and its time.

    python -m tests.benchmarks.reranking POOL [--questions N]

The pool is a folder with `corpus.jsonl` and `questions.jsonl`. The reranker orders the best passages of a search by
words in memory. It asks the model at LAKEHOP_LLM_BASE_URL, four questions at a time, each within
LAKEHOP_TASK_MAX_SECONDS.
"""

import asyncio
import statistics
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from agents.runtime import Agents, Dependencies, SearchResult
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.index.embedding import embedded_text
from lakehouse.index.lexical import LexicalIndex
from lakehouse.index.passages import Passage
from lakehouse.retrieval.reranking import RERANKED
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import LLM_RERANKER, Settings, load_settings
from lakehouse.text.questions import LabelledQuestion, read_questions
from lakehouse.text.scoring import recall_at
from tests.benchmarks.intervals import difference
from tests.benchmarks.pool_index import read_lines

CALLER = Caller("pool", (), app="benchmark", key_id="operator")
KEY = "all"
AT_ONCE = 4
CUTS = (2, 5, 10)


class PoolRetriever(Retriever):
    """A search by words over the documents of a pool, in place of an index."""

    def __init__(self, settings: Settings, documents: Sequence[dict[str, Any]]) -> None:
        super().__init__(settings)
        texts = [(row["id"], KEY, embedded_text(row["title"], (), row["text"])) for row in documents]
        self._words, self._documents = LexicalIndex(texts), {row["id"]: row for row in documents}

    def search(
        self, tenant_id: str, groups: object, query: str, *, k: int, mode: object, **more: object
    ) -> list[Passage]:
        """The k best passages, whatever the mode."""
        return [
            Passage(id, id, self._documents[id]["title"], "", self._documents[id]["text"], "", score)
            for id, score in self._words.search(query, [KEY], k)
        ]

    search_documents = search  # each document is one passage


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--questions", type=click.IntRange(min=1), default=300, show_default=True, help="How many of them, from the first."
)
def main(folder: Path, questions: int) -> None:
    """Print recall at 2, 5 and 10 before and after reranking."""
    asyncio.run(measure(folder, questions))


async def measure(folder: Path, count: int) -> None:
    """Ask the first `count` questions and print the figures."""
    settings = load_settings().model_copy(update={"reranker": LLM_RERANKER})
    retriever = PoolRetriever(settings, read_lines(folder / "corpus.jsonl"))
    prices = Prices.from_file(settings.prices_file)
    agents = Agents(Dependencies(settings, retriever, Spool(settings.spool_dir), prices))
    questions = read_questions(folder / "questions.jsonl", need_ids=False)[:count]
    turn = asyncio.Semaphore(AT_ONCE)

    async def reordered(question: str) -> SearchResult:
        async with turn:
            return await agents.search(question, CALLER, k=RERANKED, mode="lexical")

    searched = [retriever.search("pool", (), question.text, k=RERANKED, mode="lexical") for question in questions]
    ordered = await asyncio.gather(*(reordered(question.text) for question in questions))
    await agents.aclose()
    before = [recalls(question, passages) for question, passages in zip(questions, searched, strict=True)]
    after = [recalls(question, result.results) for question, result in zip(questions, ordered, strict=True)]
    for name, all_recalls in (("as found", before), ("reordered", after)):
        means = (100 * statistics.fmean(at) for at in zip(*all_recalls, strict=True))
        print(f"{name}: " + " / ".join(f"{mean:.1f}" for mean in means))
    for place, cut in enumerate(CUTS):
        points = difference([values[place] for values in after], [values[place] for values in before])
        print(f"recall@{cut}: {points} points")
    same = sum(result.results == passages for result, passages in zip(ordered, searched, strict=True))
    usd = sum((result.usage.usd for result in ordered), Decimal(0)) / len(questions)
    seconds = statistics.median(result.took_ms / 1000 for result in ordered)
    print(f"{len(questions)} questions, {same} in the order as found; ${usd:.7f} and {seconds:.1f} s (median) each")


def recalls(question: LabelledQuestion, passages: Sequence[Passage]) -> list[float]:
    """Recall of one question at each of the cuts."""
    return [recall_at(cut, question.gold_ids, [passage.doc_id for passage in passages]) for cut in CUTS]


if __name__ == "__main__":
    main()
