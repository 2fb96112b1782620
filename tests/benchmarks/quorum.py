"""The gain of a quorum: facts with a share of false sources, answered with and without a quorum.

    python -m tests.benchmarks.quorum
    python -m tests.benchmarks.quorum --facts 10 --model    # the model of the settings reads

The team's own researcher and vote, over made-up facts and documents. Without `--model` the reader is scripted: it
copies the passage's value without error, so that the numbers show the vote alone. `apart`: each false source has a
wrong value of its own; `together`: all false sources of a fact state the same value, which is the worst case. The order
of the documents is random.
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

from agents.programs.team.researcher import Researcher
from agents.reading.answerability import NothingFound
from agents.runtime import Agents, Dependencies
from agents.task.budget import Limits
from agents.task.task import Task
from lakehouse.access.permissions import Caller
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.index.passages import Passage
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import load_settings

RIGHT, WRONG = "1934", "1950"
QUESTION = "In which year was the bridge at Elm opened?"
SOURCES = 9  # documents about a fact
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
QUORUMS = (1, 2, 3)
SEED = 7
Answering = Callable[[Researcher, "OneFactTask"], Awaitable[str | None]]


class ModelReader(Researcher):
    """Reads by the model, and counts the passages."""

    read_passages = 0

    async def read_fact(self, passage: Passage, question: str, hop: int) -> str:
        self.read_passages += 1
        return await super().read_fact(passage, question, hop)


class ScriptedReader(ModelReader):
    """Copies the last word of a passage, its value."""

    async def read_fact(self, passage: Passage, question: str, hop: int) -> str:
        self.read_passages += 1
        return passage.text.rpartition(" ")[2]


class OneFactTask:
    """As much of a task as a researcher needs; its search finds the sources of one fact."""

    def __init__(self, quorum: int, passages: list[Passage]) -> None:
        self.quorum = quorum
        self.reads_at_once = 1  # each source is read alone, with and without a quorum
        self.board = self
        self._passages = passages

    async def search(self, query: str, *, hop: int, k: int, mode: str) -> list[Passage]:
        return self._passages[:k]

    async def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """No word counts, so that no question is declined unread."""
        return {}

    async def record_decision(self, *vote: Any, **where: Any) -> None:
        """Leave out the trace."""

    async def write(self, *entry: Any, **where: Any) -> None:
        """Leave out the board."""


def sources(chance: random.Random, lying: float, together: bool) -> list[Passage]:
    """Documents about one fact, in the order of a search."""
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
    """A program that looks up one fact. Raises NothingFound, as a researcher does."""

    def __init__(self, reader: Researcher, task: OneFactTask) -> None:
        super().__init__()
        self._reader, self._task = reader, task

    async def aforward(self, question: str) -> dspy.Prediction:
        finding = await self._reader.find(cast(Task, self._task), "fact", question, (), 1)
        return dspy.Prediction(answer=finding.text)


async def by_script(reader: Researcher, task: OneFactTask) -> str | None:
    """The fact with the quorum; None where the researcher declines."""
    try:
        return str((await OneFact(reader, task).aforward(QUESTION)).answer)
    except NothingFound:
        return None


async def by_model(agents: Agents, reader: Researcher, task: OneFactTask) -> str | None:
    """The same with a model as the reader, in a task with a budget."""
    caller = Caller("benchmark", (), app="quorum", key_id="operator")
    model_task = agents.new_task(caller, "team", "uncompiled", Limits(Decimal("0.10"), 600.0), 1)
    with dspy.context(trace=None):
        answer = await agents.run(model_task, OneFact(reader, task), QUESTION)
    return answer.answer if answer.status == "answered" else None


async def measured(
    answer: Answering, reader: ModelReader, facts: int, quorum: int, lying: float, together: bool
) -> tuple[float, float, float]:
    """The shares of right and of wrong answers (the rest is declined), and the passages read per fact."""
    chance, before = random.Random(SEED), reader.read_passages  # noqa: S311  a draw, not a secret
    tasks = [OneFactTask(quorum, sources(chance, lying, together)) for _ in range(facts)]
    values = await asyncio.gather(*(answer(reader, task) for task in tasks))
    outcomes = Counter("declined" if value is None else "right" if value == RIGHT else "wrong" for value in values)
    return outcomes["right"] / facts, outcomes["wrong"] / facts, (reader.read_passages - before) / facts


async def tables(
    answer: Answering,
    reader: ModelReader,
    facts: int,
    shares: Sequence[float] = SHARES,
    quorums: Sequence[int] = QUORUMS,
) -> None:
    """Print a table for false sources apart and a table for false sources together."""
    print(f"{facts} facts, {SOURCES} sources each; right / wrong, % (the rest declined), and passages read")
    for together in (False, True):
        print(f"\nliars {'together' if together else 'apart'}")
        print("| sources that lie | " + " | ".join(f"quorum {k}" if k > 1 else "none" for k in quorums) + " |")
        print("|---|" + "---|" * len(quorums))
        for lying in shares:
            cells = [await measured(answer, reader, facts, quorum, lying, together) for quorum in quorums]
            cells_text = [f"{100 * right:.1f} / {100 * wrong:.1f}, {read:.1f}" for right, wrong, read in cells]
            print(f"| {100 * lying:.0f} % | " + " | ".join(cells_text) + " |", flush=True)
    print(f"\n95 % interval of a share: ± {100 * 1.96 * sqrt(0.25 / facts):.1f} points at most")


async def with_model(facts: int) -> None:
    settings = load_settings()
    with TemporaryDirectory() as folder:  # these calls stay off the bill
        prices = Prices.from_file(settings.prices_file)
        agents = Agents(Dependencies(settings, Retriever(settings), Spool(Path(folder)), prices))
        # Half of the shares and no quorum of 3, because each passage read is a call.
        await tables(partial(by_model, agents), ModelReader(), facts, SHARES[::2], QUORUMS[:2])
        await agents.aclose()


@click.command()
@click.option("--facts", default=1_000, help="How many facts.")
@click.option("--model", is_flag=True, help="The model of the settings reads.")
def main(facts: int, model: bool) -> None:
    asyncio.run(with_model(facts) if model else tables(by_script, ScriptedReader(), facts))


if __name__ == "__main__":
    main()
