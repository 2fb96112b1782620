"""Choosing a tool and writing its arguments, for the programs whose model decides what to call."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import dspy

from agents.prompting.constraints import ChoiceOf, JsonOf
from agents.task.purpose import ask_model
from agents.tools.contract import Tool


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


async def choose_tool(
    predictor: dspy.Predict,
    tools: Mapping[str, Tool],
    otherwise: str,
    notes: Sequence[str],
    question: str,
    *,
    hop: int,
) -> Tool | None:
    """The tool that the model chooses, by ChooseTool; None where it takes `otherwise`, a line as those of tools."""
    lines = [*map(tool_line, tools.values()), otherwise]
    prediction = await ask_model(predictor, hop=hop, notes=list(notes), tools=lines, question=question)
    return tools.get(prediction.tool)


async def fill_arguments(predictor: dspy.Predict, tool: Tool, notes: Sequence[str], question: str, *, hop: int) -> str:
    """The tool's arguments as JSON, by FillArguments."""
    prediction = await ask_model(
        predictor, hop=hop, notes=list(notes), takes=tool.schema(), tool=tool_line(tool), question=question
    )
    return str(prediction.arguments)


def tool_line(tool: Tool) -> str:
    """A tool's line in a prompt."""
    return f"{tool.name}: {tool.description}"
