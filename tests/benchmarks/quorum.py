"""What a quorum is worth: facts of which a share of the sources lies, answered with and without one.

    python -m tests.benchmarks.quorum
    python -m tests.benchmarks.quorum --facts 10 --model    # the model of the settings reads

The team's own researcher and vote, over made-up facts and documents. Without `--model` the reader is scripted: it
copies what a passage says and never errs, so that the numbers show the vote alone. `apart`: each liar has a wrong value
of its own; `together`: all liars of a fact tell the same one, which is the worst case. Which documents come first is by
chance.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from functools import partial
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import click
import dspy

from agents.programs.team.roles import Researcher
from agents.reading.signatures import NothingFound
from agents.runtime import Agents, Dependencies
from agents.task.budget import Limits
from agents.task.task import Task
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.index.index import Passage
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import load_settings

RIGHT, WRONG = "1934", "1950"
QUESTION = "In which year was the bridge at Elm opened?"
SOURCES = 9  # documents that state a fact
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
QUORUMS = (1, 2, 3)
SEED = 7
Answering = Callable[[Researcher, "Given"], Awaitable[str | None]]


class ModelReader(Researcher):
    """Asks the model what a passage states."""

    read_passages = 0

    async def _fact(self, passage: Passage, question: str, hop: int) -> str:
        self.read_passages += 1
        return await super()._fact(passage, question, hop)


class ScriptedReader(ModelReader):
    """Copies the value that a passage states."""

    async def _fact(self, passage: Passage, question: str, hop: int) -> str:
        self.read_passages += 1
        return passage.text.rpartition(" ")[2]


class Given:
    """As much of a task as a researcher needs: finds the sources of one fact."""

    def __init__(self, quorum: int, passages: list[Passage]) -> None:
        self.quorum = quorum
        self.reads_at_once = 1  # a fact is told by each source alone, with and without a quorum
        self.board = self
        self._passages = passages

    async def search(self, query: str, *, hop: int, k: int, mode: str) -> list[Passage]:
        return self._passages[:k]

    async def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """No words were counted, so no question is declined unread."""
        return {}

    async def decided(self, *vote: Any, **where: Any) -> None:
        """Nobody reads the trace."""

    async def write(self, *entry: Any, **where: Any) -> None:
        """Nor the board."""


def sources(chance: random.Random, lying: float, together: bool) -> list[Passage]:
    """Documents about one fact, in the order in which a search finds them."""
    passages = []
    for number in range(SOURCES):
        value = RIGHT
        if chance.random() < lying:
            value = WRONG if together else f"{1940 + number}"
        name = f"source{number}"
        text = f"According to {name} the bridge at Elm was opened in {value}"
        passages.append(Passage(chunk_id=name, doc_id=name, title=name, heading="", text=text, uri="", score=1.0))
    chance.shuffle(passages)
    return passages


class OneFact(dspy.Module):
    """A program that looks up one fact in what is given. Raises NothingFound, as a researcher does."""

    def __init__(self, reader: Researcher, given: Given) -> None:
        super().__init__()
        self._reader, self._given = reader, given

    async def aforward(self, question: str) -> dspy.Prediction:
        found = await self._reader.find(cast(Task, self._given), "fact", question, (), 1)
        return dspy.Prediction(answer=found.text)


async def by_script(reader: Researcher, given: Given) -> str | None:
    """The fact that the vote takes; None where it declines."""
    try:
        return str((await OneFact(reader, given).aforward(QUESTION)).answer)
    except NothingFound:
        return None


async def by_model(agents: Agents, reader: Researcher, given: Given) -> str | None:
    """The same where a model reads, in a task of its own."""
    caller = Caller("benchmark", (), app="quorum", key_id="operator")
    task = agents.new_task(caller, "team", "uncompiled", Limits(Decimal("0.10"), 600.0), 1)
    with dspy.context(trace=None):
        said = await agents.run(task, OneFact(reader, given), QUESTION)
    return said.answer if said.status == "answered" else None


async def measured(
    answer: Answering, reader: ModelReader, facts: int, quorum: int, lying: float, together: bool
) -> tuple[float, float, float]:
    """Shares of facts answered rightly and wrongly (the rest is declined), and passages read for each."""
    chance, before = random.Random(SEED), reader.read_passages  # noqa: S311  a draw, not a secret
    given = [Given(quorum, sources(chance, lying, together)) for _ in range(facts)]
    said = await asyncio.gather(*(answer(reader, one) for one in given))
    outcomes = Counter("declined" if one is None else "right" if one == RIGHT else "wrong" for one in said)
    return outcomes["right"] / facts, outcomes["wrong"] / facts, (reader.read_passages - before) / facts


async def tables(
    answer: Answering,
    reader: ModelReader,
    facts: int,
    shares: Sequence[float] = SHARES,
    quorums: Sequence[int] = QUORUMS,
) -> None:
    """Print one table for liars apart and one for liars together."""
    print(f"{facts} facts, {SOURCES} sources each; right / wrong, % (the rest declined), and passages read")
    for together in (False, True):
        print(f"\nliars {'together' if together else 'apart'}")
        print("| sources that lie | " + " | ".join(f"quorum {k}" if k > 1 else "none" for k in quorums) + " |")
        print("|---|" + "---|" * len(quorums))
        for lying in shares:
            cells = [await measured(answer, reader, facts, quorum, lying, together) for quorum in quorums]
            shown = [f"{100 * right:.1f} / {100 * wrong:.1f}, {read:.1f}" for right, wrong, read in cells]
            print(f"| {100 * lying:.0f} % | " + " | ".join(shown) + " |", flush=True)
    print(f"\n95 % interval of a share: ± {100 * 1.96 * sqrt(0.25 / facts):.1f} points at most")


async def with_model(facts: int) -> None:
    settings = load_settings()
    with TemporaryDirectory() as folder:  # its calls are no part of anybody's bill
        prices = Prices.from_file(settings.prices_file)
        agents = Agents(Dependencies(settings, Retriever(settings), Spool(Path(folder)), prices))
        # Every second share and no quorum of 3: each passage read is a call.
        await tables(partial(by_model, agents), ModelReader(), facts, SHARES[::2], QUORUMS[:2])
        await agents.aclose()


@click.command()
@click.option("--facts", default=1_000, help="How many are asked.")
@click.option("--model", is_flag=True, help="The model of the settings reads.")
def main(facts: int, model: bool) -> None:
    asyncio.run(with_model(facts) if model else tables(by_script, ScriptedReader(), facts))


if __name__ == "__main__":
    main()
