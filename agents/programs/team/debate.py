"""A debate between rival answers to a look-up, held only where retrieval is not sure that it found the right passage.

A wrong fact is carried on by whatever needs it, so each look-up is settled before the next: an answer is as certain as
the least certain look-up that it rests on. Rivals are read from what the asker's own search returned, and nothing else
is looked at, so none can say what the asker may not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import dspy

from agents.prompting.constraints import BestOf
from agents.reading.signatures import shown
from agents.task.blackboard import MAX_CHARACTERS
from agents.task.recorder import mark, reference
from agents.task.task import Task
from lakehouse.index.index import Passage
from lakehouse.text.mentions import closest_sentence
from lakehouse.text.scoring import normalise

HARD = 0.5
"""A look-up is hard when the passage that its fact was read from is rather not needed than needed.
`tests.benchmarks.confidence` measures how often the first passage is right above and below it."""
QUOTE_CHARACTERS = 200
DEBATE = "debate"


class PickAnswer(dspy.Signature):
    """Give the number of the answer whose quote says what the question asks for."""

    answers: str = dspy.InputField(desc="number. answer: quote")
    question: str = dspy.InputField()
    number: Annotated[str, BestOf("answers", 1)] = dspy.OutputField(desc="a number")


@dataclass(frozen=True)
class Rival:
    """An answer, and the passage that it was read from."""

    fact: str
    passage: Passage

    @property
    def probability(self) -> float:
        """That the question needs its passage."""
        return self.passage.probability or 0.0

    def line(self, question: str) -> str:
        quote = closest_sentence(shown(self.passage), f"{question} {self.fact}")
        return " ".join(f"{self.fact}: {quote}".split())[:QUOTE_CHARACTERS]


def is_hard(passage: Passage) -> bool:
    """Whether the search gave a probability, and it is too low to take the passage's word."""
    return passage.probability is not None and passage.probability < HARD


def differing(rivals: Sequence[Rival]) -> list[Rival]:
    """One for each thing said, compared as votes are; the first that says it."""
    first: dict[str, Rival] = {}
    for rival in rivals:
        first.setdefault(normalise(rival.fact), rival)
    return list(first.values())


class Debate(dspy.Module):
    """Has the model pick among rivals, then again in the opposite order, for it may choose a place and not an answer.
    Unless both picks agree, the likeliest rival stands; so where it is picked first, nothing more is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.pick = dspy.Predict(PickAnswer, agent=DEBATE)

    async def winner(self, task: Task, id: str, rivals: Sequence[Rival], question: str, hop: int) -> Rival:
        """Which of at least two rivals stands, once the debate is in the trace. `id`: of the look-up."""
        likeliest = max(rivals, key=lambda one: one.probability)
        picks = [await self._picked(rivals, question, hop)]
        if picks[0] not in (likeliest, None):  # else no second round can change what stands
            picks.append(await self._picked(rivals[::-1], question, hop))
        stands = picks[0] if picks[0] and picks[0] == picks[-1] else likeliest
        await _show(task, id, rivals, picks, stands, hop)
        return stands

    async def _picked(self, rivals: Sequence[Rival], question: str, hop: int) -> Rival | None:
        """None where the model says no number of a rival."""
        answers = "\n".join(f"{number}. {one.line(question)}" for number, one in enumerate(rivals, start=1))
        marked = mark(hop, *(one.passage for one in rivals))
        said = await self.pick.acall(answers=answers, question=question, config=marked)
        return rivals[int(said.number) - 1] if said.number else None


async def _show(
    task: Task, id: str, rivals: Sequence[Rival], picks: Sequence[Rival | None], stands: Rival, hop: int
) -> None:
    """On the board who said what; in the record, which outlives the documents, only how it was decided."""
    if picks == [stands]:
        why = "it is the likeliest, and was picked"
    elif picks == [stands, stands]:
        why = "both rounds picked it"
    else:
        why = "the rounds did not agree, it is the likeliest"
    said = "; ".join(f"{one.fact!r} says {one.passage.doc_id} ({one.probability:.2f})" for one in rivals)
    picked = ", ".join(repr(one.fact) if one else "none" for one in picks)
    await task.decided(
        DEBATE,
        f"{id}: {len(rivals)} rival answers",
        stands.fact,
        [stands.passage],
        f"{len(rivals)} rival answers; answer {rivals.index(stands) + 1} stands: {why}",
        hop=hop,
    )
    await task.board.write(
        f"{id}.debate",
        "debate",
        f"{stands.fact!r} stands: {why}. Rivals: {said}. Picks: {picked}"[:MAX_CHARACTERS],
        author="researcher",
        provenance=[reference(one.passage) for one in rivals],
    )
