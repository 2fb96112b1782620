"""`react`: the model chooses one tool at a time until it can answer from what the tools said.

The first step is a search for the question itself, without asking: a model would choose that in nearly every case.
"""

from typing import Any

import dspy

from agents.programs.observations import Observations
from agents.programs.tool_choice import ChooseTool, FillArguments, choose_tool, fill_arguments
from agents.prompting.constraints import NONE
from agents.reading.answerability import NothingFound, check_answerability
from agents.reading.citations import cite, numbers_behind
from agents.reading.signatures import AnswerFromPassages, answer_from
from agents.task.loops import LoopDetected
from agents.task.task import Task, current_task
from agents.tools.contract import Observation, Tool

TURNS = 10  # three steps each, of a task's 96: a model that knows nothing by then will not find it
ANSWER = "answer: answer from what was found"  # beside the tools' lines in the prompt


class React(dspy.Module):
    """Choose a tool, call it, note what it said; answer from the observations. The budget and repeats also end it."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = dspy.Predict(ChooseTool, agent="choose")
        self.fill = dspy.Predict(FillArguments, agent="fill")
        self.answer = dspy.Predict(AnswerFromPassages, agent="answer")

    async def aforward(self, question: str) -> dspy.Prediction:
        task, observations = current_task(), Observations(question)
        if remembered := await task.remembered(question):
            observations.add("memory", Observation("memory", remembered))
        await self._act(task, observations, "search", {"query": question[:1_000]}, 1)
        try:
            await self._call_tools(task, observations, question)
        except LoopDetected:
            await self._answer(task, observations, question)  # more calls bring nothing new: this is the best answer
            raise
        return await self._answer(task, observations, question)

    async def _call_tools(self, task: Task, observations: Observations, question: str) -> None:
        """Call tools until the model prefers to answer. Raises LoopDetected."""
        hop = 1
        for _ in range(TURNS):
            tool = await self._choose(task, observations, question, hop)
            if tool is None:
                break
            hop += tool.kind == "search"
            arguments = await fill_arguments(self.fill, tool, observations.lines(), question, hop=hop)
            await self._act(task, observations, tool.name, arguments, hop)

    async def _choose(self, task: Task, observations: Observations, question: str, hop: int) -> Tool | None:
        away = await task.tools.away()
        tools = {tool.name: tool for tool in task.tools.offered(away)}
        notes = observations.lines() + ([f"not to be had now: {', '.join(away)}"] if away else [])
        return await choose_tool(self.choose, tools, ANSWER, notes, question, hop=hop)

    async def _act(
        self, task: Task, observations: Observations, tool: str, arguments: dict[str, Any] | str, hop: int
    ) -> None:
        observations.add(tool, await task.tools.call(tool, arguments, hop=hop))
        await task.propose(*observations.best())

    async def _answer(self, task: Task, observations: Observations, question: str) -> dspy.Prediction:
        evidence, passages = observations.evidence(), observations.passages()
        if not evidence:
            raise NothingFound("no tool said anything")
        if observations.are_all_passages():
            await check_answerability(task, question, passages)
        hop = max(step.hop for step in task.steps)
        answer = await answer_from(self.answer, evidence, question, passages=passages, hop=hop)
        if answer == NONE:
            raise NothingFound("what the tools said does not answer it")
        facts = [answer, *numbers_behind(answer, task.steps)]
        await task.propose(answer, cite(question, *((fact, passages) for fact in facts)))
        return dspy.Prediction(answer=answer)
