"""What a quorum is worth: facts of which a share of the sources lies, answered with and without one.

    python -m tests.benchmarks.quorum

The team's own researcher and vote, over made-up facts and documents. The reader is scripted: it copies what a passage
says and never errs, so that the numbers show the vote alone. `apart`: each liar has a wrong value of its own;
`together`: all liars of a fact tell the same one, which is the worst case. Which documents come first is by chance.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import Any, cast

from agents.reading import NothingFound
from agents.roles import Researcher
from agents.task import Task
from lakehouse.index import Passage

FACTS = 1_000
SOURCES = 9  # documents that state a fact
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
QUORUMS = (1, 2, 3)
SEED = 7


class ScriptedReader(Researcher):
    """Copies the value that a passage states."""

    read_passages = 0

    async def _fact(self, passage: Passage, question: str, hop: int) -> str:
        self.read_passages += 1
        return passage.text.rpartition(" ")[2]


class Given:
    """As much of a task as a researcher needs: finds the sources of one fact."""

    def __init__(self, quorum: int, passages: list[Passage]) -> None:
        self.quorum = quorum
        self._passages = passages

    async def search(self, query: str, *, hop: int, k: int, mode: str) -> list[Passage]:
        return self._passages[:k]

    async def idf(self, terms: Sequence[str]) -> dict[str, float]:
        """No words were counted, so no question is declined unread."""
        return {}

    async def voted(self, *vote: Any, **where: Any) -> None:
        """Nobody reads the trace."""


def sources(chance: random.Random, lying: float, together: bool) -> list[Passage]:
    """Documents about one fact, in the order in which a search finds them; "right" is right."""
    passages = []
    for number in range(SOURCES):
        value = "right"
        if chance.random() < lying:
            value = "wrong" if together else f"wrong{number}"
        name = f"source{number}"
        text = f"According to {name} the value is {value}"
        passages.append(Passage(chunk_id=name, doc_id=name, title=name, heading="", text=text, uri="", score=1.0))
    chance.shuffle(passages)
    return passages


async def measured(quorum: int, lying: float, together: bool) -> tuple[float, float, float]:
    """Shares of facts answered rightly and wrongly (the rest is declined), and passages read for each."""
    chance, reader = random.Random(SEED), ScriptedReader()  # noqa: S311  a draw, not a secret
    outcomes: Counter[str] = Counter()
    for _ in range(FACTS):
        task = cast(Task, Given(quorum, sources(chance, lying, together)))
        try:
            found = await reader.find(task, "fact", "What is the value?", (), 1)
        except NothingFound:
            outcomes["declined"] += 1
        else:
            outcomes["right" if found.text == "right" else "wrong"] += 1
    return outcomes["right"] / FACTS, outcomes["wrong"] / FACTS, reader.read_passages / FACTS


async def main() -> None:
    print(f"{FACTS} facts, {SOURCES} sources each; right / wrong, % (the rest declined), and passages read")
    for together in (False, True):
        print(f"\nliars {'together' if together else 'apart'}")
        print("| sources that lie | " + " | ".join(f"quorum {k}" if k > 1 else "none" for k in QUORUMS) + " |")
        print("|---|" + "---|" * len(QUORUMS))
        for lying in SHARES:
            cells = [await measured(quorum, lying, together) for quorum in QUORUMS]
            shown = [f"{100 * right:.1f} / {100 * wrong:.1f}, {read:.1f}" for right, wrong, read in cells]
            print(f"| {100 * lying:.0f} % | " + " | ".join(shown) + " |")
    print(f"\n95 % interval of a share: ± {100 * 1.96 * sqrt(0.25 / FACTS):.1f} points at most")


if __name__ == "__main__":
    asyncio.run(main())
