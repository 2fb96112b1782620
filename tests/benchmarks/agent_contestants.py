"""The contestants of `tests.benchmarks.agent_overhead`, each in a process of its own: two packages are named `agents`.

    python tests/benchmarks/agent_contestants.py NAME URL FOLDER

Prints a line when it is ready; then runs as many tasks as each line of standard input says, and prints their seconds.
All have the same function as their only tool. Peers are set up as on the first pages of their manuals, without tracing,
which would send data to another server.
"""

import asyncio
import json
import sys
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUR_SUMS, PEERS_SUMS = 4, 7
"""Sums per task, so that each task has 15 steps. Ours searches once, and makes two model calls per sum and two to
answer (10 calls, 5 tools); the others make one per sum and one to answer (8 calls, 7 tools)."""
STEPS = 15
QUESTION = "How much is one more, again and again?"
INSTRUCTIONS = "Work out each sum with the tool. Answer when there is none left."

Task = Callable[[], Awaitable[str]]


@dataclass
class Tool:
    """The tool, and the seconds spent in it."""

    seconds: float = 0.0

    def add(self, expression: str) -> str:
        begun = time.perf_counter()
        text = str(sum(int(number) for number in expression.split("+")))
        self.seconds += time.perf_counter() - begun
        return text


TOOL = Tool()


def calculate(expression: str) -> str:
    """Work out a sum of whole numbers, such as 3 + 4."""
    return TOOL.add(expression)


@asynccontextmanager
async def lakehop_react(url: str, folder: Path, *, durable: bool = False) -> AsyncIterator[Task]:
    """`react` as the gateway runs it: budget, schemas, loop detection, and a call record on disk at each step.

    `durable`: as the gateway runs tasks of /tasks, each step also in the database; without the queue.
    """
    from decimal import Decimal
    from typing import cast

    from pydantic import BaseModel

    from agents.runtime import Agents, Dependencies
    from agents.task.budget import Limits
    from agents.tools import contract
    from lakehouse.access.permissions import Caller
    from lakehouse.costs.call_records import Spool
    from lakehouse.costs.prices import Prices
    from lakehouse.retrieval.retriever import Retriever
    from lakehouse.settings import Settings

    class Query(BaseModel, extra="forbid"):
        query: str

    class Sum(BaseModel, extra="forbid"):
        expression: str

    async def find(given: Query, context: contract.ToolContext) -> contract.ToolResult:
        return contract.ToolResult("It begins with nought.")

    async def work_out(given: Sum, context: contract.ToolContext) -> contract.ToolResult:
        return contract.ToolResult(calculate(given.expression))

    model = f"scripted-{OUR_SUMS}"
    prices = folder / "prices.toml"
    prices.write_text(f'[[price]]\nmodel = "{model}"\nfrom = 2026-01-01\ninput = "1"\ncached = "0.1"\noutput = "2"\n')
    deps = Dependencies(
        settings=Settings(home=folder, llm_base_url=url, llm_model=model, prices_file=prices),
        retriever=cast(Retriever, None),  # the search below asks no index
        spool=Spool(folder / "spool"),
        prices=Prices.from_file(prices),
        tools=(
            contract.Tool("search", "Find passages.", Query, find, timeout_s=5.0),
            contract.Tool("calculate", str(calculate.__doc__), Sum, work_out, timeout_s=5.0),
        ),
    )
    agents, caller = Agents(deps), Caller("acme", (), app="benchmark", key_id="key_1")
    limits = Limits(max_usd=Decimal(1), max_seconds=60.0)

    async def ask(**more: Any) -> str:
        answer = await agents.ask(QUESTION, caller, program="react", limits=limits, max_hops=1, **more)
        _check(answer.status == "answered" and len(answer.steps) == STEPS, answer)
        return answer.answer

    if not durable:
        yield ask
    else:
        from dbos import DBOS, SetWorkflowID

        from agents.durable.executor import Executor
        from lakehouse.storage.database import Database

        database = Database.open(deps.settings)
        executor = Executor(database, lambda task_id, _, journal: ask(journal=journal, task_id=task_id))
        await executor.start()

        async def task() -> str:
            task_id = uuid.uuid4().hex
            with SetWorkflowID(task_id):
                handle = await DBOS.start_workflow_async(executor.workflow, task_id, QUESTION)
            return await handle.get_result()

        yield task
        await executor.stop()
    await agents.aclose()


@asynccontextmanager
async def langgraph(url: str, folder: Path, *, stream: bool, checkpoints: bool = False) -> AsyncIterator[Task]:
    """LangGraph's own ReAct agent; `checkpoints`: each step is stored in a SQLite file."""
    from langchain_openai import ChatOpenAI
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.prebuilt import create_react_agent

    warnings.simplefilter("ignore")  # it has moved, and warns of that at each start
    model = ChatOpenAI(
        model=f"scripted-{PEERS_SUMS}", base_url=url, api_key="none", streaming=stream, temperature=0, max_retries=0
    )
    async with AsyncExitStack() as stack:
        file = str(folder / "checkpoints.sqlite")
        saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(file)) if checkpoints else None
        agent = create_react_agent(model, [calculate], prompt=INSTRUCTIONS, checkpointer=saver)

        async def task() -> str:
            config = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": 50}
            state = await agent.ainvoke({"messages": [("user", QUESTION)]}, config)
            _check(len(state["messages"]) == STEPS + 1, state)
            return str(state["messages"][-1].content)

        yield task


@asynccontextmanager
async def openai_agents(url: str, folder: Path, *, stream: bool) -> AsyncIterator[Task]:
    """OpenAI's Agents SDK, whose package is also named `agents`, over chat completions."""
    from openai import AsyncOpenAI

    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    model = OpenAIChatCompletionsModel(model=f"scripted-{PEERS_SUMS}", openai_client=client)
    agent = Agent(name="adder", instructions=INSTRUCTIONS, tools=[function_tool(calculate)], model=model)

    async def task() -> str:
        if stream:
            result = Runner.run_streamed(agent, QUESTION, max_turns=20)
            async for _ in result.stream_events():
                pass
        else:
            result = await Runner.run(agent, QUESTION, max_turns=20)
        _check(len(result.to_input_list()) == STEPS + 1, result)
        return str(result.final_output)

    yield task
    await client.close()


@asynccontextmanager
async def bare_http(url: str, folder: Path) -> AsyncIterator[Task]:
    """As many calls of the endpoint as our task makes, by httpx alone."""
    import httpx

    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": f"{QUESTION} {'.' * 2_000}"}]
    body = {"model": f"scripted-{OUR_SUMS}", "messages": messages, "stream": True}
    async with httpx.AsyncClient(base_url=url) as client:

        async def task() -> str:
            for _ in range(2 * OUR_SUMS + 2):
                async with client.stream("POST", "/chat/completions", json=body) as response:
                    pieces = [piece async for piece in response.aiter_bytes()]
            return f"{len(pieces)} pieces"

        yield task


Contestant = Callable[[str, Path], AbstractAsyncContextManager[Task]]
BARE = "bare HTTP"
OURS = "Lakehop react"
DURABLE = "Lakehop react, durable"
CONTESTANTS: dict[str, Contestant] = {
    BARE: bare_http,
    OURS: lakehop_react,
    DURABLE: lambda url, folder: lakehop_react(url, folder, durable=True),
    "LangGraph": lambda url, folder: langgraph(url, folder, stream=True),
    "LangGraph, not streamed": lambda url, folder: langgraph(url, folder, stream=False),
    "LangGraph, SQLite": lambda url, folder: langgraph(url, folder, stream=True, checkpoints=True),
    "LangGraph, SQLite, not streamed": lambda url, folder: langgraph(url, folder, stream=False, checkpoints=True),
    "OpenAI Agents SDK": lambda url, folder: openai_agents(url, folder, stream=True),
    "OpenAI Agents SDK, not streamed": lambda url, folder: openai_agents(url, folder, stream=False),
}


def _check(holds: bool, what: Any) -> None:
    if not holds:
        raise AssertionError(f"not the {STEPS} scripted steps: {what}")


async def main(name: str, url: str, folder: Path) -> None:
    """Run as many tasks as each line of standard input says."""
    async with CONTESTANTS[name](url, folder) as task:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            TOOL.seconds, begun, busy = 0.0, time.perf_counter(), time.process_time()
            for _ in range(int(line)):
                await task()
            seconds = {"wall": time.perf_counter() - begun, "cpu": time.process_time() - busy, "tool": TOOL.seconds}
            print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
