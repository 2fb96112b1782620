"""Tasks with given tools, so that a test says in one line which tool misbehaves and how."""

from dataclasses import replace

import pytest
from pydantic import BaseModel

from agents.tools.contract import Retry, Tool, ToolResult


class Word(BaseModel, extra="forbid"):
    """What the made-up tools take."""

    word: str


@pytest.fixture
def tool():
    """A tool whose calls are a function's; its retries wait for nothing."""

    def make(run, name="echo", **contract):
        contract = {"timeout_s": 5.0, "retry": Retry(first_wait_s=0.001, longest_wait_s=0.002)} | contract
        return Tool(name=name, description="Say a word.", arguments=Word, run=run, **contract)

    return make


@pytest.fixture
def task_with(new_task, deps):
    """A task that has these tools only."""

    def make(*tools, **limits):
        return new_task(deps=replace(deps, tools=tools), **limits)

    return make


async def echo(given, context):
    return ToolResult(given.word)
