"""MCP servers of the settings, real processes by stdio and HTTP: allowed callers get their tools, no fault spreads."""

import json
import pickle
import socket
import subprocess
import sys
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from agents.runtime import Agents, load_program
from agents.task.budget import Budget, Limits
from agents.task.journal import Journal
from agents.task.task import Task
from agents.tools.mcp import servers as mcp_servers
from agents.tools.mcp.servers import McpServers
from lakehouse.access.mcp_servers import load_mcp_servers
from lakehouse.access.permissions import Caller
from lakehouse.settings import Settings
from tests.agents.conftest import CALLER

SERVER = """
import os, sys
from typing import Annotated
from mcp.server.mcpserver import Context, MCPServer
from pydantic import Field

server = MCPServer("tickets")

@server.tool(description="Tell the state of a ticket. Token " + os.environ.get("TOKEN", "none"))
def state(number: Annotated[int, Field(description=os.environ.get("TOKEN", "none"))], context: Context) -> str:
    request = context.request_context.request
    return f"Ticket {number} is open. " + (request.headers["authorization"] if request else os.environ["TOKEN"])

@server.tool(description="Close a ticket.")
def close(number: int) -> str:
    raise RuntimeError("cannot" + "." * 230 + os.environ.get("TOKEN", ""))

if sys.argv[1:]:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run()
"""
ENVIRONMENT = {"TICKETS_TOKEN": "tok-s3cr3t"}
OTHERS = [replace(CALLER, groups=("hr",)), replace(CALLER, groups=()), Caller("other", ("eng",), "wiki", "key_2")]


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    script = tmp_path_factory.mktemp("mcp") / "tickets.py"
    script.write_text(SERVER)
    return script


@pytest.fixture(scope="module")
def over_http(script, free_port):
    """URL of a server that runs already."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(script), str(port)])
    give_up_at = time.monotonic() + 60
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert time.monotonic() < give_up_at, "the server does not listen"
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/mcp"
    process.terminate()
    process.wait(10)


@pytest.fixture
def connect(tmp_path):
    """Servers from a settings file, as in the gateway."""
    made = []

    def connect(**entry):
        path = tmp_path / "mcp.json"
        entry = {"allow": {"acme": ["eng"]}, "readOnly": ["state"]} | entry
        path.write_text(json.dumps({"mcpServers": {"tickets": entry}}))
        made.append(McpServers(load_mcp_servers(Settings(mcp_servers_file=str(path)), ENVIRONMENT)))
        return made[-1]

    yield connect
    for servers in made:
        servers.close()


@pytest.fixture(params=["stdio", "http"])
def tickets(request, connect, script, monkeypatch):
    monkeypatch.setattr(mcp_servers, "WAIT_S", 60)
    if request.param == "stdio":
        command = {"command": sys.executable, "args": [str(script)], "env": {"TOKEN": "Bearer ${TICKETS_TOKEN}"}}
        return connect(**command)
    url = request.getfixturevalue("over_http")
    return connect(type="http", url=url, headers={"Authorization": "Bearer ${TICKETS_TOKEN}"})


def names(tools):
    return [tool.name for tool in tools]


async def test_its_tools_are_offered_to_those_who_are_allowed_and_its_secrets_to_nobody(tickets, new_task, deps):
    task = new_task(deps=replace(deps, servers=tickets), max_seconds=120)
    away = await task.tools.away()
    assert names(task.tools.connected(away)) == ["tickets_state", "tickets_close"]
    assert "tok-s3" not in str([(tool.description, tool.schema()) for tool in task.tools.offered(away)])

    seen = await task.tools.call("tickets_state", {"number": 7}, hop=1)
    assert (seen.ok, seen.text) == (True, "Ticket 7 is open. Bearer ***")
    assert task.context.has_read_strangers
    assert names(task.tools.connected(away)) == ["tickets_state"]  # what changes something is away from now on
    assert "changes things outside" in (await task.tools.call("tickets_close", {"number": 7}, hop=1)).text

    for caller in OTHERS:
        other = new_task(deps=replace(deps, servers=tickets), caller=caller)
        assert names(other.tools.connected(await other.tools.away())) == []
        assert "must be one of" in (await other.tools.call("tickets_state", {"number": 7}, hop=1)).text


async def test_what_it_says_of_its_failure_holds_no_secret(tickets, new_task, deps):
    task = new_task(deps=replace(deps, servers=tickets), max_seconds=120)
    await task.tools.away()

    seen = await task.tools.call("tickets_close", {"number": 7}, hop=1)

    assert (seen.ok, "tok-" in f"{seen.text} {task.steps}") == (False, False)


@pytest.mark.parametrize(("program", "said"), [
    ("react", ["tickets_state", '{"number": 7}', "answer", "open"]),
    (
        "team",
        [
            '{"tasks": [{"id": "a", "role": "connector", "question": "Ticket 7?", "needs": []}]}',
            "tickets_state", '{"number": 7}', "complete",
        ],
    ),
])  # fmt: skip
async def test_react_and_team_use_them(tickets, deps, model, ask, monkeypatch, tmp_path, program, said):
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    agents = Agents(replace(deps, servers=tickets))
    model.says(*said)

    answer = await ask("What is the state of ticket 7?", program=program, agents=agents, max_seconds=120)
    await agents.aclose()

    assert (answer.status, "open" in answer.answer) == ("answered", True)
    assert [step.agent for step in answer.steps if step.kind == "tool"] == ["tickets_state"]
    assert "tickets_state" in str(model.asked[0]["messages"])
    assert "tok-s3cr3t" not in answer.model_dump_json() + str(model.asked)


@pytest.mark.parametrize(
    "entry",
    [
        {"url": "http://127.0.0.1:9/mcp"},
        {"command": "/no/such/program"},
        {"command": sys.executable, "args": ["-c", ""]},
    ],
)
async def test_a_server_that_is_down_is_left_alone_and_the_task_goes_on(connect, entry, model, deps, ask, caplog):
    servers = connect(**entry)
    agents = Agents(replace(deps, servers=servers))
    model.says("answer", "BSD-3-Clause", "answer", "BSD-3-Clause")

    for _ in range(2):
        answer = await ask(program="react", agents=agents)
        assert (answer.status, answer.latency_s < 10) == ("answered", True)
    await agents.aclose()

    (warning,) = [record.getMessage() for record in caplog.records if record.name == "lakehop.mcp"]  # asked once
    assert warning.startswith("MCP server 'tickets': ")
    assert warning.endswith("Its tools are away for 30 s.")


class Kept(Journal):
    """Keeps results as the journal of a durable task does, and returns them to the next process."""

    def __init__(self, kept=()):
        self.kept, self._again = list(kept), iter(kept)

    async def once(self, name, work):
        for kept in self._again:
            return pickle.loads(kept)  # noqa: S301  our own
        result = await work()
        self.kept.append(pickle.dumps(result))
        return result


async def test_a_resumed_task_chooses_among_the_same_tools_though_the_server_is_gone(
    connect, script, deps, monkeypatch
):
    monkeypatch.setattr(mcp_servers, "WAIT_S", 60)

    async def offered(servers, journal):
        with_servers, budget = replace(deps, servers=servers), Budget(Limits(Decimal(1), 120.0))
        task = Task(with_servers, CALLER, program="react", program_version="v", budget=budget, journal=journal)
        return names(task.tools.connected(await task.tools.away())), task

    first = Kept()
    before, _ = await offered(connect(command=sys.executable, args=[str(script)]), first)
    after, task = await offered(connect(command="/no/such/program"), Kept(first.kept))
    seen = await task.tools.call("tickets_state", {"number": 7}, hop=1)

    assert before == after == ["tickets_state", "tickets_close"]
    assert (seen.ok, "FileNotFoundError" in seen.text) == (False, True)


async def test_a_task_that_outlived_its_right_is_told_so(connect, script, new_task, deps, monkeypatch):
    monkeypatch.setattr(mcp_servers, "WAIT_S", 60)
    command = {"command": sys.executable, "args": [str(script)]}
    servers = connect(**command)
    (listed, _) = await servers.listed(CALLER)
    narrowed = connect(**command, allow={"acme": ["hr"]})
    task = new_task(deps=replace(deps, tools=(narrowed.tool(listed),)))

    seen = await task.tools.call("tickets_state", {"number": 7}, hop=1)

    assert (seen.ok, seen.text) == (False, "tickets: the asker may not use it any more. Do without it.")
