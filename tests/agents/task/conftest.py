"""Tasks with made-up tools, so that a test shows in one line how a tool misbehaves."""

from dataclasses import replace

import pytest
from pydantic import BaseModel

from agents.tools.contract import Retry, Tool, ToolResult


class Word(BaseModel, extra="forbid"):
    """Arguments of the made-up tools."""

    word: str


@pytest.fixture
def tool():
    """A tool that calls a function, with hardly any wait between its retries."""

    def make(run, name="echo", **contract):
        contract = {"timeout_s": 5.0, "retry": Retry(first_wait_s=0.001, longest_wait_s=0.002)} | contract
        return Tool(name=name, description="Say a word.", arguments=Word, run=run, **contract)

    return make


@pytest.fixture
def task_with(new_task, deps):
    """A task with these tools only."""

    def make(*tools, **limits):
        return new_task(deps=replace(deps, tools=tools), **limits)

    return make


async def echo(given, context):
    return ToolResult(given.word)
