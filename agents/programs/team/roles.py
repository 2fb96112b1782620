"""The specialists of a team: each answers one sub-question in its own way, with a few small model calls.

To add one: a class with `find`, a line in `ROLES`, and its name in `agents.programs.team.plan.Role`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import dspy

from agents.programs.react import ChooseTool, FillArguments, tool_line
from agents.programs.team.debate import Debate, Rival, differing, is_hard
from agents.prompting.constraints import NONE, JsonAs, OneOf
from agents.reading.answerability import check_about
from agents.reading.ballot import READ_AT_MOST, Ballot
from agents.reading.reading_order import cite, is_unlikely, may_belong
from agents.reading.signatures import FOUND_PASSAGES, AnswerFromPassages, NothingFound, ReadFact, read_at_once, shown
from agents.task.recorder import mark
from agents.task.task import Task
from agents.tools.contract import Tool
from agents.tools.python import Code
from agents.tools.sql import Statement, tables_to_ask
from lakehouse.index.index import Passage
from lakehouse.text.mentions import closest_sentence, longest_mentioned
from lakehouse.text.terms import terms

FINDING_CHARACTERS = 600
TOLD_CHARACTERS = 80  # of each tool of a connected server, where a plan is made
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
    """Searches once, then reads first what the document says that the question names: as many passages at once as the
    task may, else one at a time until a fact leads by as many documents as the task wants.

    Where no quorum is asked for and the search is not sure of the fact's passage, the others may object; but not to
    what stands in the document that the question names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")
        self.read = dspy.Predict(ReadFact, agent="read")
        self.debate = Debate()

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        unsaid = [line for line in known if line.partition(": ")[2] not in question]
        query = " ".join([question, *unsaid])
        found = await task.search(query, hop=hop, k=FOUND_PASSAGES, mode="best")
        await check_about(task, question, found)
        named = longest_mentioned((one.title for one in found), question)
        passages = _in_order(found, named, question)[: READ_AT_MOST * task.quorum]
        # The first of the document so named is read whatever its probability, which another part of it may have taken.
        asked_of = passages[:1] if named else []
        together = [one for one in passages if one in asked_of or may_belong(one)][: task.reads_at_once]
        if len(together) > 1:
            fact = await read_at_once(self.answer, question, together, hop)
            if fact != NONE:
                return Finding(fact, tuple(together))
        ballot = Ballot(task, id, "researcher", hop)
        for passage in passages:
            fact = await self._fact(passage, question, hop)
            if fact != NONE:
                ballot.cast(passage, fact)
            if ballot.settled:
                break
        fact, agreeing = await ballot.result()
        if task.quorum > 1 or agreeing[0].title == named or not is_hard(agreeing[0]):
            return Finding(fact, agreeing)
        others = passages[passages.index(agreeing[0]) + 1 :]
        stands = await self._debated(task, id, Rival(fact, agreeing[0]), others, question, hop)
        return Finding(stands.fact, (stands.passage,))

    async def _debated(
        self, task: Task, id: str, first: Rival, others: Sequence[Passage], question: str, hop: int
    ) -> Rival:
        """What stands against what the other passages say; the first fact where the budget ends before that."""
        await task.propose(first.fact, [*task.citations, *cite(question, (first.fact, [first.passage]))])
        said = [first]
        for passage in others:
            if not is_unlikely(passage) and (fact := await self._fact(passage, question, hop)) != NONE:
                said.append(Rival(fact, passage))
        rivals = differing(said)
        return first if len(rivals) == 1 else await self.debate.winner(task, id, rivals, question, hop)

    async def _fact(self, passage: Passage, question: str, hop: int) -> str:
        text = shown(passage)
        closest = closest_sentence(text, question)
        said = await self.read.acall(passage=text, closest=closest, question=question, config=mark(hop, passage))
        return str(said.fact)


def _in_order(found: Sequence[Passage], named: str | None, question: str) -> list[Passage]:
    """First passages of the document so named, that whose closest sentence has most of the question's words before
    others; then what else was found."""
    asked = {*terms(question)}

    def shared(passage: Passage) -> int:
        return len(asked & {*terms(closest_sentence(shown(passage), question))})

    first = sorted((one for one in found if one.title == named), key=shared, reverse=True)[:READ_AT_MOST]
    return [*first, *(one for one in found if one.title != named)]


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


class Connector(dspy.Module):
    """Chooses a tool of a connected MCP server, if one fits, and writes what it takes; once more after a refusal."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = dspy.Predict(ChooseTool, agent="choose")
        self.fill = dspy.Predict(FillArguments, agent="fill")

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        notes, refused = list(known), "no tool of a connected server fits, or none may be called now"
        for _ in range(TRIES):
            tool = await self._chosen(task, notes, question, hop)
            if tool is None:
                break
            said = await self.fill.acall(
                notes=notes, takes=tool.schema(), tool=tool_line(tool), question=question, config=mark(hop)
            )
            seen = await task.tools.call(tool.name, said.arguments, hop=hop)
            if seen.ok and not seen.empty:
                return Finding(seen.text[:FINDING_CHARACTERS], seen.passages)
            refused = seen.shown()[:FINDING_CHARACTERS]
            notes.append(f"{tool.name} said: {refused}")
        raise NothingFound(refused)

    async def _chosen(self, task: Task, notes: Sequence[str], question: str, hop: int) -> Tool | None:
        offered = {tool.name: tool for tool in task.tools.connected(await task.tools.away())}
        if not offered:
            return None
        tools = [*map(tool_line, offered.values()), f"{NONE}: none of these fits"]
        said = await self.choose.acall(notes=list(notes), tools=tools, question=question, config=mark(hop))
        return offered.get(said.tool)


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
        "connector": Connector(),
        "critic": Critic(),
    }


ROLES = {
    "researcher": "finds a fact in the documents",
    "analyst": "asks the tables of costs, tasks and runs",
    "coder": "works out numbers, dates and lists in Python",
    "connector": "asks other systems by these tools",
    "critic": "says whether findings hold together",
}
TOOL_OF = {"analyst": "sql", "coder": "python"}
"""Which tool a role cannot do without; while that is away, so is the role."""


async def roles_to_be_had(task: Task) -> dict[str, str]:
    """The roles whose tools can be had now, with what each does."""
    away = await task.tools.away()
    roles = {role: does for role, does in ROLES.items() if TOOL_OF.get(role) not in away}
    tools = "; ".join(f"{tool.name}, {tool.description[:TOLD_CHARACTERS]}" for tool in task.tools.connected(away))
    if not tools:
        del roles["connector"]
        return roles
    return roles | {"connector": f"{roles['connector']}: {tools}"}
