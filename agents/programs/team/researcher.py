"""The researcher: finds a fact in the documents, by one search."""

from collections.abc import Sequence

import dspy

from agents.programs.team.debate import Debate, Rival, distinct
from agents.programs.team.findings import Finding
from agents.prompting.constraints import NONE
from agents.reading.answerability import check_answerability
from agents.reading.ballot import READ_AT_MOST, Ballot
from agents.reading.citations import cite
from agents.reading.confidence import is_hard, is_unlikely, may_be_needed
from agents.reading.signatures import (
    FOUND_PASSAGES,
    AnswerFromPassages,
    ReadFact,
    excerpt,
    read_alone,
    read_together,
)
from agents.task.task import Task
from lakehouse.index.passages import Passage
from lakehouse.text.mentions import longest_mentioned
from lakehouse.text.sentences import closest_sentence
from lakehouse.text.terms import terms


class Researcher(dspy.Module):
    """Search, then read the document that the question names, then others.

    Several passages are read together where the task allows it; otherwise one at a time, until a fact has the task's
    quorum. Without a quorum, and where the search is not sure of the fact's passage, other passages may object, but not
    to the document that the question names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")
        self.read = dspy.Predict(ReadFact, agent="read")
        self.debate = Debate()

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        """See `agents.programs.team.roles.Specialist`."""
        new_facts = [line for line in known if line.partition(": ")[2] not in question]
        query = " ".join([question, *new_facts])
        found = await task.search(query, hop=hop, k=FOUND_PASSAGES, mode="best")
        await check_answerability(task, question, found)
        title = longest_mentioned((passage.title for passage in found), question)
        passages = _named_first(found, title, question)[: READ_AT_MOST * task.quorum]
        # Read the named document's first passage even if unlikely: another part of it may have the probability.
        named = passages[:1] if title else []
        together = [passage for passage in passages if passage in named or may_be_needed(passage)]
        together = together[: task.reads_at_once]
        if len(together) > 1:
            fact = await read_together(self.answer, together, question, hop=hop)
            if fact != NONE:
                return Finding(fact, tuple(together))
        fact, agreeing = await self._read_one_by_one(task, id, passages, question, hop)
        if task.quorum > 1 or agreeing[0].title == title or not is_hard(agreeing[0]):
            return Finding(fact, agreeing)
        others = passages[passages.index(agreeing[0]) + 1 :]
        stands = await self._debated(task, id, Rival(fact, agreeing[0]), others, question, hop)
        return Finding(stands.fact, (stands.passage,))

    async def read_fact(self, passage: Passage, question: str, hop: int) -> str:
        """The fact in one passage; "none" without any."""
        return await read_alone(self.read, passage, question, hop=hop)

    async def _read_one_by_one(
        self, task: Task, id: str, passages: Sequence[Passage], question: str, hop: int
    ) -> tuple[str, tuple[Passage, ...]]:
        """The fact with the task's quorum, and its passages. Raises NothingFound."""
        ballot = Ballot(task, id, "researcher", hop)
        for passage in passages:
            fact = await self.read_fact(passage, question, hop)
            if fact != NONE:
                ballot.cast(passage, fact)
            if ballot.settled:
                break
        return await ballot.result()

    async def _debated(
        self, task: Task, id: str, first: Rival, others: Sequence[Passage], question: str, hop: int
    ) -> Rival:
        """The rival that stands against the other passages' facts; the first where the budget ends in the debate."""
        await task.propose(first.fact, [*task.citations, *cite(question, (first.fact, [first.passage]))])
        rivals = [first]
        for passage in others:
            if not is_unlikely(passage) and (fact := await self.read_fact(passage, question, hop)) != NONE:
                rivals.append(Rival(fact, passage))
        rivals = distinct(rivals)
        return first if len(rivals) == 1 else await self.debate.winner(task, id, rivals, question, hop)


def _named_first(passages: Sequence[Passage], title: str | None, question: str) -> list[Passage]:
    """First the named document's passages, by how many of the question's terms their closest sentence holds; then the
    others in their order."""
    question_terms = {*terms(question)}

    def shared_terms(passage: Passage) -> int:
        return len(question_terms & {*terms(closest_sentence(excerpt(passage), question))})

    named = sorted((passage for passage in passages if passage.title == title), key=shared_terms, reverse=True)
    return [*named[:READ_AT_MOST], *(passage for passage in passages if passage.title != title)]
