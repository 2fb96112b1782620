"""The specialists of a team: each answers one sub-question in its own way, with a few small model calls.

To add one: a class with `find`, a line in `ROLES`, and its name in `agents.plan.Role`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import dspy

from agents.about import check_about
from agents.constraints import NONE, JsonAs, OneOf
from agents.mentions import closest_sentence
from agents.quorum import Vote, decide
from agents.reading import NothingFound, ReadFact, mark, shown
from agents.recorder import reference
from agents.task import Task
from agents.tools.python import Code
from agents.tools.sql import Statement, tables_to_ask
from lakehouse.index import Passage

READ_AT_MOST = 3  # passages for one fact; with a quorum of k, k times as many
FINDING_CHARACTERS = 600
TRIES = 2  # of SQL or code: once more after the error was read


@dataclass(frozen=True)
class Finding:
    """What a specialist found, and the passages that it rests on."""

    text: str
    passages: tuple[Passage, ...] = ()


class Specialist(Protocol):
    """Answers a sub-question. Raises NothingFound with the reason where it cannot."""

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding: ...


class Researcher(dspy.Module):
    """Searches once, then reads one passage at a time until a fact leads by as many documents as the task wants."""

    def __init__(self) -> None:
        super().__init__()
        self.read = dspy.Predict(ReadFact, agent="read")

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        passages = await task.search(" ".join([question, *known]), hop=hop, k=READ_AT_MOST * task.quorum, mode="best")
        await check_about(task, question, passages)
        votes: list[Vote] = []
        verdict = decide(votes, task.quorum)
        for passage in passages:
            fact = await self._fact(passage, question, hop)
            if fact != NONE:
                votes.append(Vote(fact, passage.doc_id, passage.text))
                verdict = decide(votes, task.quorum)
            if verdict.settled:
                break
        if verdict.disagreement:
            read = [reference(passage) for passage in passages]
            await task.board.write(
                f"{id}.votes", "disagreement", verdict.disagreement[:2_000], author="researcher", provenance=read
            )
        if verdict.value is None:
            raise NothingFound(
                f"no {task.quorum} documents agree" if votes else "no passage that was found holds the fact"
            )
        agreeing = {vote.source for vote in votes if vote.value == verdict.value}
        return Finding(verdict.value, tuple(one for one in passages if one.doc_id in agreeing))

    async def _fact(self, passage: Passage, question: str, hop: int) -> str:
        text = shown(passage)
        closest = closest_sentence(text, question)
        said = await self.read.acall(passage=text, closest=closest, question=question, config=mark(hop, passage))
        return str(said.fact)


class WriteSql(dspy.Signature):
    """Write one SELECT that answers the question."""

    tables: list[str] = dspy.InputField(desc="table(columns)")
    known: list[str] = dspy.InputField(desc="what was found already")
    refused: str = dspy.InputField(desc="why the last SELECT did not work, or none")
    question: str = dspy.InputField()
    arguments: Annotated[str, JsonAs(Statement)] = dspy.OutputField(desc='{"statement": "SELECT …"}')


class WriteCode(dspy.Signature):
    """Write a few lines of plain Python that work out the answer; the last line is the result."""

    known: list[str] = dspy.InputField(desc="what was found already")
    refused: str = dspy.InputField(desc="why the last code did not work, or none")
    question: str = dspy.InputField()
    arguments: Annotated[str, JsonAs(Code)] = dspy.OutputField(desc='{"code": "…"}')


class ToolUser(dspy.Module):
    """Writes what one tool takes, reads why it was refused, and tries once more."""

    def __init__(self, signature: type[dspy.Signature], agent: str, tool: str, **always: Any) -> None:
        super().__init__()
        self.write = dspy.Predict(signature, agent=agent)
        self._tool = tool
        self._always = always

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        refused = NONE
        for _ in range(TRIES):
            given = self._always | {"known": list(known), "refused": refused, "question": question}
            said = await self.write.acall(**given, config=mark(hop))
            seen = await task.tools.call(self._tool, said.arguments, hop=hop)
            if seen.ok and not seen.empty:
                return Finding(seen.text[:FINDING_CHARACTERS], seen.passages)
            refused = seen.shown()[:FINDING_CHARACTERS]
        raise NothingFound(refused)


class Review(dspy.Signature):
    """Do the facts hold together, as the question asks?"""

    known: list[str] = dspy.InputField(desc="what was found, as name: fact")
    question: str = dspy.InputField()
    verdict: Annotated[str, OneOf(("doubtful", "holds"))] = dspy.OutputField(desc="holds or doubtful")


class Critic(dspy.Module):
    """Says whether the findings before it hold."""

    def __init__(self) -> None:
        super().__init__()
        self.review = dspy.Predict(Review, agent="review")

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        said = await self.review.acall(known=list(known), question=question, config=mark(hop))
        return Finding(said.verdict)


def specialists() -> dict[str, Specialist]:
    """One of each role."""
    return {
        "researcher": Researcher(),
        "analyst": ToolUser(WriteSql, "analyst", "sql", tables=tables_to_ask()),
        "coder": ToolUser(WriteCode, "coder", "python"),
        "critic": Critic(),
    }


ROLES = {
    "researcher": "finds a fact in the documents",
    "analyst": "asks the tables of costs, tasks and runs",
    "coder": "works out numbers, dates and lists in Python",
    "critic": "says whether findings hold together",
}
TOOL_OF = {"analyst": "sql", "coder": "python"}
"""Which tool a role cannot do without; while that is away, so is the role."""
