"""Specialists that answer by a tool: SQL, Python, or a tool of a connected MCP server."""

from collections.abc import Sequence
from typing import Annotated, Any

import dspy

from agents.programs.team.findings import Finding
from agents.programs.tool_choice import ChooseTool, FillArguments, choose_tool, fill_arguments
from agents.prompting.constraints import NONE, JsonAs
from agents.reading.answerability import NothingFound
from agents.task.purpose import ask_model
from agents.task.task import Task
from agents.tools.contract import Observation
from agents.tools.python import Code
from agents.tools.sql import Statement

FINDING_CHARACTERS = 600
TRIES = 2  # the second after the model has read the first one's error
OTHERWISE = f"{NONE}: none of these fits"  # beside the tools' lines in the prompt


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
    """Write the arguments of one tool and call it; once more after a refusal. `always`: inputs of each prompt."""

    def __init__(self, signature: type[dspy.Signature], agent: str, tool: str, **always: Any) -> None:
        super().__init__()
        self.write = dspy.Predict(signature, agent=agent)
        self._tool = tool
        self._always = always

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        """See `agents.programs.team.roles.Specialist`."""
        refused = NONE
        for _ in range(TRIES):
            inputs = self._always | {"known": list(known), "refused": refused, "question": question}
            prediction = await ask_model(self.write, hop=hop, **inputs)
            observation = await task.tools.call(self._tool, prediction.arguments, hop=hop)
            if finding := _finding(observation):
                return finding
            refused = _refusal(observation)
        raise NothingFound(refused)


class Connector(dspy.Module):
    """Choose a tool of a connected MCP server, if one fits, and call it; once more after a refusal."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = dspy.Predict(ChooseTool, agent="choose")
        self.fill = dspy.Predict(FillArguments, agent="fill")

    async def find(self, task: Task, id: str, question: str, known: Sequence[str], hop: int) -> Finding:
        """See `agents.programs.team.roles.Specialist`."""
        notes, refused = list(known), "no tool of a connected server fits, or none may be called now"
        for _ in range(TRIES):
            tools = {tool.name: tool for tool in task.tools.connected(await task.tools.away())}
            tool = await choose_tool(self.choose, tools, OTHERWISE, notes, question, hop=hop) if tools else None
            if tool is None:
                break
            arguments = await fill_arguments(self.fill, tool, notes, question, hop=hop)
            observation = await task.tools.call(tool.name, arguments, hop=hop)
            if finding := _finding(observation):
                return finding
            refused = _refusal(observation)
            notes.append(f"{tool.name} said: {refused}")
        raise NothingFound(refused)


def _finding(observation: Observation) -> Finding | None:
    if observation.ok and not observation.empty:
        return Finding(observation.text[:FINDING_CHARACTERS], observation.passages)
    return None


def _refusal(observation: Observation) -> str:
    return observation.for_model()[:FINDING_CHARACTERS]
