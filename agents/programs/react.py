"""`react`: perceive, reason, act. The model chooses one tool at a time until it can answer from what they said.

The question itself is searched for first, without asking: a model's first choice would be that in nearly every case.
"""

from typing import Annotated

import dspy

from agents.programs.observations import Notebook
from agents.prompting.constraints import NONE, ChoiceOf, JsonOf
from agents.reading.answerability import check_about
from agents.reading.citations import numbers_behind
from agents.reading.reading_order import cite
from agents.reading.signatures import AnswerFromPassages, NothingFound
from agents.task.loops import LoopDetected
from agents.task.recorder import mark
from agents.task.task import Task, current_task
from agents.tools.contract import Observation, Tool

TURNS = 10  # three steps each, of 96: who knows nothing by then goes on in vain
ANSWER = "answer"


class ChooseTool(dspy.Signature):
    """Choose what to do next: the tool that finds what is still missing, or answer when nothing is."""

    notes: list[str] = dspy.InputField(desc="what was done and what it said, oldest first")
    tools: list[str] = dspy.InputField(desc="name: what it does")
    question: str = dspy.InputField()
    tool: Annotated[str, ChoiceOf("tools")] = dspy.OutputField(desc="one name")


class FillArguments(dspy.Signature):
    """Write what the tool is to be asked, as JSON, for the one fact that is still missing."""

    notes: list[str] = dspy.InputField(desc="what was done and what it said, oldest first")
    takes: dict = dspy.InputField(desc="JSON schema of what the tool takes")
    tool: str = dspy.InputField(desc="name: what it does")
    question: str = dspy.InputField()
    arguments: Annotated[str, JsonOf("takes")] = dspy.OutputField(desc="JSON")


class React(dspy.Module):
    """Choose a tool, call it, note what it said; answer from the notes. The budget and repeats end it, too."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = dspy.Predict(ChooseTool, agent="choose")
        self.fill = dspy.Predict(FillArguments, agent="fill")
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")

    async def aforward(self, question: str) -> dspy.Prediction:
        task, notes = current_task(), Notebook(question)
        if remembered := await task.recall(question):
            notes.add("memory", Observation("memory", remembered))
        await self._act(task, notes, "search", {"query": question[:1_000]}, 1)
        try:
            await self._call_tools(task, notes, question)
        except LoopDetected:
            await self._answered(task, notes, question)  # it knows by now what it will ever know: the best so far
            raise
        return await self._answered(task, notes, question)

    async def _call_tools(self, task: Task, notes: Notebook, question: str) -> None:
        """One after the other, until the model would rather answer. Raises LoopDetected."""
        hop = 1
        for _ in range(TURNS):
            tool = await self._chosen(task, notes, question, hop)
            if tool is None:
                break
            hop += tool.kind == "search"
            lines, told = notes.lines(), tool_line(tool)
            said = await self.fill.acall(
                notes=lines, takes=tool.schema(), tool=told, question=question, config=mark(hop)
            )
            await self._act(task, notes, tool.name, said.arguments, hop)

    async def _chosen(self, task: Task, notes: Notebook, question: str, hop: int) -> Tool | None:
        away = await task.tools.away()
        offered = {tool.name: tool for tool in task.tools.offered(away)}
        told = [f"not to be had now: {', '.join(away)}"] if away else []
        tools = [*map(tool_line, offered.values()), f"{ANSWER}: answer from what was found"]
        said = await self.choose.acall(notes=notes.lines() + told, tools=tools, question=question, config=mark(hop))
        return offered.get(said.tool)

    async def _act(self, task: Task, notes: Notebook, tool: str, arguments: dict[str, str] | str, hop: int) -> None:
        notes.add(tool, await task.tools.call(tool, arguments, hop=hop))
        await task.propose(*notes.best())

    async def _answered(self, task: Task, notes: Notebook, question: str) -> dspy.Prediction:
        evidence, passages, hop = notes.evidence(), notes.passages(), max(step.hop for step in task.steps)
        if not evidence:
            raise NothingFound("no tool said anything")
        if notes.has_only_read():
            await check_about(task, question, passages)
        said = await self.answer.acall(passages=evidence, question=question, config=mark(hop, *passages))
        if said.answer == NONE:
            raise NothingFound("what the tools said does not answer it")
        facts = [said.answer, *numbers_behind(said.answer, task.steps)]
        await task.propose(said.answer, cite(question, *((fact, passages) for fact in facts)))
        return dspy.Prediction(answer=said.answer)


def tool_line(tool: Tool) -> str:
    """A tool as a model that chooses among several is told of it."""
    return f"{tool.name}: {tool.description}"
