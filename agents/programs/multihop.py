"""`multihop`: follows names from passage to passage until the question is answered.

The question's words, or the caller's `style`, choose the form of the answer (`agents.question.forms`). Explanations,
steps, lists and comparisons are written (`agents.writing.writer`). What follows is the way to a fact, a yes, a number.

It reads passages together where the question compares documents or the search is confident. Elsewhere it reads one at
a time, because a small model copies the right fact from one passage and mixes the facts of several: the first
passage leads to the names to look up, each of their passages is read alone, and the model concludes from the facts.
Nothing here depends on a domain; `agents.compile` finds demonstrations for one.

When it stops (the bounds are in `agents.reading`):
1. Before reading: no passage is likely (`confidence.NOTHING`), or none speaks of the subject (`answerability.COMMON`).
2. After one call: the passages read together hold the answer.
3. After the planned number of facts, or `reading_order.EXTRA_READS` passages that hold none; of these no unlikely one.
4. At the task's `max_hops`: with 1, nothing is looked up. There are two hops at most: the search, and the look-ups.
5. At the task's budget, with the best answer so far.
"""

from typing import Annotated

import dspy

from agents.prompting.constraints import NONE, OneOf
from agents.question.follow_up import FollowUp
from agents.question.forms import form_of, questions_in
from agents.question.mending import mend
from agents.reading.answerability import NothingFound, check_answerability, names_a_document
from agents.reading.ballot import READ_AT_MOST, Ballot
from agents.reading.citations import cite
from agents.reading.confidence import nothing_is_likely
from agents.reading.reading_order import ReadingOrder
from agents.reading.signatures import (
    FOUND_PASSAGES,
    AnswerFromPassages,
    Conclude,
    ReadFact,
    conclude_from,
    read_alone,
    read_together,
)
from agents.task.purpose import ask_model
from agents.task.task import Task, current_task
from agents.writing.evidence import Subject
from agents.writing.several import MOST_QUESTIONS, answer_each
from agents.writing.sides import sides_of
from agents.writing.writer import WRITTEN_FORMS, Writer
from lakehouse.index.passages import Passage
from lakehouse.text.mentions import is_mentioned

NAMES_LOOKED_UP = 12  # a lexical search of milliseconds each


class PlanLookUps(dspy.Signature):
    """How many other pages must be looked up, beside the page of what the question names?
    0 when that page itself holds the answer."""

    question: str = dspy.InputField()
    look_ups: Annotated[str, OneOf(("0", "1", "2", "3"))] = dspy.OutputField(desc="0, 1, 2 or 3")


class MultiHop(dspy.Module):
    """Search, plan the look-ups, read together where that is safe, else look up names and read one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")
        self.plan = dspy.Predict(PlanLookUps, agent="plan")
        self.read = dspy.Predict(ReadFact, agent="read")
        self.conclude = dspy.Predict(Conclude, agent="conclude")
        self.follow_up = FollowUp()
        self.writer = Writer()

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        question = await self.follow_up.standalone(task, question)
        questions = questions_in(question)
        if 1 < len(questions) <= MOST_QUESTIONS:
            return dspy.Prediction(answer=await answer_each(task, questions, self._answer))
        return dspy.Prediction(answer=await self._answer(question))

    async def _answer(self, question: str) -> str:
        task = current_task()
        mended = await mend(task, question)
        passages = await task.search(mended.search, hop=1, k=FOUND_PASSAGES, mode="best")
        task.form = task.style or form_of(question)
        is_written = task.form in WRITTEN_FORMS and task.quorum == 1
        if nothing_is_likely(passages) and not (is_written and names_a_document(question, passages)):
            raise NothingFound("no passage is likely to be needed for it")
        await check_answerability(task, question, passages)
        if is_written:
            subject = Subject(question, mended.search, tuple(sides_of(question)))
            return await self.writer.answer(task, task.form, subject, passages)
        return await self._fact(task, question, passages)

    async def _fact(self, task: Task, question: str, passages: list[Passage]) -> str:
        """A span, a yes, a number: read together where that is safe, else one by one."""
        order = ReadingOrder(question, passages)
        together = order.compared if task.reads_at_once > 1 else []
        look_ups = await self._plan_look_ups(task, order) if not together else None
        if task.reads_at_once > 1 and look_ups in (0, 1):
            together = order.chain
        together = together[: task.reads_at_once]
        answer = await read_together(self.answer, together, question, hop=order.hop) if together else NONE
        if answer == NONE:
            answer = await self._read_one_by_one(task, order, look_ups)
        else:
            await task.propose(answer, cite(question, (answer, together)))
        return answer

    async def _plan_look_ups(self, task: Task, order: ReadingOrder) -> int | None:
        """How many documents to look up; None where no second hop is possible."""
        if not order.start or task.max_hops == 1:
            return None
        plan = await ask_model(self.plan, hop=1, question=order.question)
        return int(plan.look_ups)

    async def _read_one_by_one(self, task: Task, order: ReadingOrder, look_ups: int | None) -> str:
        """Look up names, note a fact from each passage, and conclude. Raises NothingFound."""
        if look_ups is not None:
            await self._look_up(task, order, look_ups)
        for passage in order.passages_to_read():
            fact = await self._read(order, passage)
            if fact != NONE:
                fact, passage = await self._agreed(task, order, passage, fact)
                order.facts.append((passage, fact))
                await task.propose(fact, order.citations())
        if not order.facts:
            raise NothingFound
        answer = await self._conclude(task, order)
        await task.propose(answer, order.citations())
        return answer

    async def _look_up(self, task: Task, order: ReadingOrder, needed: int) -> None:
        """Look up the names in the first passage; the title in the question where no further page is needed."""
        order.hop += 1
        names = order.named
        if needed:
            names = order.names_to_look_up(await self._find_titles(task, order))[:NAMES_LOOKED_UP]
        order.follow(await task.look_up(names, order.missing, hop=order.hop), max(1, needed))

    async def _find_titles(self, task: Task, order: ReadingOrder) -> list[Passage]:
        """The passages for the rest of the question; a first search that followed names has found them already."""
        if order.linked_from_start:
            return order.linked_from_start
        return await task.search(order.missing, hop=order.hop, k=FOUND_PASSAGES)

    async def _read(self, order: ReadingOrder, passage: Passage) -> str:
        return await read_alone(self.read, passage, order.question, hop=order.hop, focus=order.missing)

    async def _agreed(self, task: Task, order: ReadingOrder, passage: Passage, fact: str) -> tuple[str, Passage]:
        """The fact on which the task's quorum of documents agrees, with one of their passages. Raises NothingFound."""
        if task.quorum == 1:
            return fact, passage
        ballot = Ballot(task, f"fact{len(order.facts) + 1}", "multihop", order.hop)
        ballot.cast(passage, fact)
        for other in await self._other_documents(task, order, passage):
            other_fact = await self._read(order, other)
            if other_fact != NONE:
                ballot.cast(other, other_fact)
            if ballot.settled:
                break
        fact, agreeing = await ballot.result()
        return fact, agreeing[0]

    async def _other_documents(self, task: Task, order: ReadingOrder, passage: Passage) -> list[Passage]:
        """Passages of other documents on the same subject."""
        subject = order.subject_of(passage)
        query = f"{subject} {order.missing}".strip()
        passages = await task.search(query, hop=order.hop, k=READ_AT_MOST * task.quorum, mode="best")
        others = [other for other in passages if other.doc_id != passage.doc_id]
        return [other for other in others if not subject or is_mentioned(subject, f"{other.title}\n{other.text}")]

    async def _conclude(self, task: Task, order: ReadingOrder) -> str:
        if len(order.facts) == 1:
            return order.facts[0][1]
        facts = [f"{passage.title}: {fact}" for passage, fact in order.facts]
        return await conclude_from(self.conclude, task, facts, order.question, hop=order.hop)
