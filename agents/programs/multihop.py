"""`multihop`: follows names from passage to passage until the question is answered.

It reads at once what the question compares, or what the search is confident of. Elsewhere it reads one thing at
a time, for given one passage a small model copies the right fact, and given several it mixes them: the passage about
what the question names leads to the names to look up next, each of those is read alone, and it concludes from the facts
only. What a domain looks like is not in here; that comes with the demonstrations that `agents.compile` finds.
"""

from typing import Annotated

import dspy

from agents.prompting.constraints import NONE, OneOf
from agents.reading.answerability import check_about
from agents.reading.ballot import READ_AT_MOST, Ballot
from agents.reading.reading_order import Trail, cite
from agents.reading.signatures import (
    FOUND_PASSAGES,
    AnswerFromPassages,
    Conclude,
    NothingFound,
    ReadFact,
    concluded,
    read_at_once,
    shown,
)
from agents.task.recorder import mark
from agents.task.task import Task, current_task
from lakehouse.index.index import Passage
from lakehouse.text.mentions import closest_sentence, is_mentioned

NAMES_LOOKED_UP = 12  # a lexical search of milliseconds each


class PlanLookUps(dspy.Signature):
    """How many other pages must be looked up, beside the page of what the question names?
    0 when that page itself holds the answer."""

    question: str = dspy.InputField()
    look_ups: Annotated[str, OneOf(("0", "1", "2", "3"))] = dspy.OutputField(desc="0, 1, 2 or 3")


class MultiHop(dspy.Module):
    """Search, plan what is missing, read what is there already, or look it up by name: at most `max_hops` searches,
    fewer when answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")
        self.plan = dspy.Predict(PlanLookUps, agent="plan")
        self.read = dspy.Predict(ReadFact, agent="read")
        self.conclude = dspy.Predict(Conclude, agent="conclude")

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        trail = Trail(question, await task.search(question, hop=1, k=FOUND_PASSAGES, mode="best"))
        if trail.nothing_is_likely:
            raise NothingFound("no passage is likely to be needed for it")
        await check_about(task, question, trail.found)
        together = trail.compared if task.reads_at_once > 1 else []
        look_ups = await self._planned(task, trail) if not together else None
        if task.reads_at_once > 1 and look_ups in (0, 1):
            together = trail.chain
        together = together[: task.reads_at_once]
        answer = await read_at_once(self.answer, question, together, trail.hop) if together else NONE
        if answer == NONE:
            answer = await self._read_one_by_one(task, trail, look_ups)
        else:
            await task.propose(answer, cite(question, (answer, together)))
        return dspy.Prediction(answer=answer)

    async def _planned(self, task: Task, trail: Trail) -> int | None:
        """How many documents are to be looked up; None where no second search may be made."""
        if not trail.start or task.max_hops == 1:
            return None
        plan = await self.plan.acall(question=trail.question, config=mark(1))
        return int(plan.look_ups)

    async def _read_one_by_one(self, task: Task, trail: Trail, look_ups: int | None) -> str:
        """What follows from facts that were read alone, after so many look-ups. Raises NothingFound."""
        if look_ups is not None:
            await self._look_up(task, trail, look_ups)
        for passage in trail.passages_to_read():
            fact = await self._read(trail, passage)
            if fact != NONE:
                fact, passage = await self._agreed(task, trail, passage, fact)
                trail.facts.append((passage, fact))
                await task.propose(fact, trail.citations())
        if not trail.facts:
            raise NothingFound
        answer = await self._concluded(task, trail)
        await task.propose(answer, trail.citations())
        return answer

    async def _read(self, trail: Trail, passage: Passage) -> str:
        text = shown(passage)
        closest = closest_sentence(text, trail.missing)
        said = await self.read.acall(
            passage=text, closest=closest, question=trail.question, config=mark(trail.hop, passage)
        )
        return str(said.fact)

    async def _agreed(self, task: Task, trail: Trail, passage: Passage, fact: str) -> tuple[str, Passage]:
        """The fact that as many documents as the task wants agree on, and one of them. Raises NothingFound."""
        if task.quorum == 1:
            return fact, passage
        ballot = Ballot(task, f"fact{len(trail.facts) + 1}", "multihop", trail.hop)
        ballot.cast(passage, fact)
        for other in await self._others(task, trail, passage):
            said = await self._read(trail, other)
            if said != NONE:
                ballot.cast(other, said)
            if ballot.settled:
                break
        fact, agreeing = await ballot.result()
        return fact, agreeing[0]

    async def _others(self, task: Task, trail: Trail, passage: Passage) -> list[Passage]:
        """Passages of other documents about the same thing."""
        subject = trail.subject_of(passage)
        query = f"{subject} {trail.missing}".strip()
        found = await task.search(query, hop=trail.hop, k=READ_AT_MOST * task.quorum, mode="best")
        others = [one for one in found if one.doc_id != passage.doc_id]
        return [one for one in others if not subject or is_mentioned(subject, f"{one.title}\n{one.text}")]

    async def _look_up(self, task: Task, trail: Trail, needed: int) -> None:
        """Look up by name what the first passage leads to, or what the question names when the plan needs no more."""
        trail.hop += 1
        found = await self._named_further(task, trail) if needed else []
        names = trail.names_to_look_up(found)[:NAMES_LOOKED_UP] if needed else trail.named
        trail.follow(await task.look_up(names, trail.missing, hop=trail.hop), max(1, needed))

    async def _named_further(self, task: Task, trail: Trail) -> list[Passage]:
        """What the rest of the question finds; the first search has found that already where it went by names."""
        if trail.led_to:
            return trail.led_to
        return await task.search(trail.missing, hop=trail.hop, k=FOUND_PASSAGES)

    async def _concluded(self, task: Task, trail: Trail) -> str:
        if len(trail.facts) == 1:
            return trail.facts[0][1]
        facts = [f"{passage.title}: {fact}" for passage, fact in trail.facts]
        return await concluded(self.conclude, task, facts, trail.question, trail.hop)
