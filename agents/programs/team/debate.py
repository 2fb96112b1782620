"""A debate between rival answers to a look-up, held only where the search is not sure of the passage.

Later look-ups build on a wrong fact, so each look-up is settled before the next: an answer is as certain as the least
certain look-up behind it. All rivals come from the caller's own search, so none reveals what the caller may not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import dspy

from agents.answer import PassageRef
from agents.prompting.constraints import BestOf
from agents.reading.signatures import excerpt
from agents.task.blackboard import MAX_CHARACTERS
from agents.task.purpose import ask_model
from agents.task.task import Task
from lakehouse.index.passages import Passage
from lakehouse.text.scoring import normalise
from lakehouse.text.sentences import closest_sentence

QUOTE_CHARACTERS = 200
DEBATE = "debate"  # name of a debate in steps and records


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
        """Probability that the question needs the passage; 0 where the search gives none."""
        return self.passage.probability or 0.0

    def line(self, question: str) -> str:
        """The rival in the prompt: its fact and the sentence around it."""
        quote = closest_sentence(excerpt(self.passage), f"{question} {self.fact}")
        return " ".join(f"{self.fact}: {quote}".split())[:QUOTE_CHARACTERS]


def distinct(rivals: Sequence[Rival]) -> list[Rival]:
    """The first rival of each fact; facts are compared as votes are."""
    first: dict[str, Rival] = {}
    for rival in rivals:
        first.setdefault(normalise(rival.fact), rival)
    return list(first.values())


class Debate(dspy.Module):
    """Let the model pick a rival, then again in the opposite order, because it may pick by position.

    Without two equal picks the likeliest rival stands; so a first pick of the likeliest needs no second.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pick = dspy.Predict(PickAnswer, agent=DEBATE)

    async def winner(self, task: Task, id: str, rivals: Sequence[Rival], question: str, hop: int) -> Rival:
        """The rival that stands, of at least two, after the debate is in the trace. `id`: of the look-up."""
        likeliest = max(rivals, key=lambda rival: rival.probability)
        picks = [await self._pick(rivals, question, hop)]
        if picks[0] not in (likeliest, None):  # otherwise no second pick can change the result
            picks.append(await self._pick(rivals[::-1], question, hop))
        stands = picks[0] if picks[0] and picks[0] == picks[-1] else likeliest
        await _trace(task, id, rivals, picks, stands, hop)
        return stands

    async def _pick(self, rivals: Sequence[Rival], question: str, hop: int) -> Rival | None:
        """None where the model gives no number of a rival."""
        answers = "\n".join(f"{number}. {rival.line(question)}" for number, rival in enumerate(rivals, start=1))
        passages = [rival.passage for rival in rivals]
        prediction = await ask_model(self.pick, hop=hop, reading=passages, answers=answers, question=question)
        return rivals[int(prediction.number) - 1] if prediction.number else None


async def _trace(
    task: Task, id: str, rivals: Sequence[Rival], picks: Sequence[Rival | None], stands: Rival, hop: int
) -> None:
    """Write facts and sources to the board; the call record, which outlives documents, gets numbers only."""
    if picks == [stands]:
        why = "it is the likeliest, and was picked"
    elif picks == [stands, stands]:
        why = "both rounds picked it"
    else:
        why = "the rounds did not agree, it is the likeliest"
    facts = "; ".join(f"{rival.fact!r} says {rival.passage.doc_id} ({rival.probability:.2f})" for rival in rivals)
    picked = ", ".join(repr(pick.fact) if pick else "none" for pick in picks)
    await task.record_decision(
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
        f"{stands.fact!r} stands: {why}. Rivals: {facts}. Picks: {picked}"[:MAX_CHARACTERS],
        author="researcher",
        provenance=[PassageRef.of(rival.passage) for rival in rivals],
    )
