"""The page on programs says how to add a tool, a specialist and a program; this follows it, block by block."""

import re
from dataclasses import replace

import dspy
import pytest

from agents.llm.engine import NoSyncEngine
from agents.programs import PROGRAMS
from agents.prompting.adapter import ShortAdapter
from lakehouse.access.mcp_servers import load_mcp_servers
from lakehouse.settings import PROJECT_ROOT, Settings


@pytest.fixture(scope="module")
def page():
    """Names that the Python blocks of the page define."""
    text = (PROJECT_ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)  # noqa: S102  the page is ours
    return names


def test_the_mcp_servers_of_the_page_are_a_file_that_loads(tmp_path):
    text = (PROJECT_ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mcp.json").write_text(block)

    servers = load_mcp_servers(Settings(mcp_servers_file=str(tmp_path / "mcp.json")), {"TICKETS_TOKEN": "t"})

    assert [server.name for server in servers] == ["notes", "tickets"]


async def test_the_tool_of_the_page_is_called_by_its_contract(page, new_task, deps):
    task = new_task(deps=replace(deps, tools=(page["DAYS"],)))

    seen = await task.tools.call("days", '{"first": "2026-11-03", "last": "2026-12-01"}', hop=1)
    wrong = await task.tools.call("days", '{"first": "tomorrow"}', hop=1)

    assert (seen.ok, seen.text) == (True, "28")
    assert "It takes first (string, such as 2026-11-03), last (string)" in wrong.text


async def test_the_specialist_of_the_page_mends_what_the_tool_refused(page, model, new_task, deps, engine_of):
    task = new_task(deps=replace(deps, tools=(page["DAYS"],)))
    model.says('{"first": "soon", "last": "later"}', '{"first": "2026-11-03", "last": "2026-12-01"}')
    lm = dspy.LM(deps.settings.llm_model, engine=NoSyncEngine(), async_engine=engine_of(task), cache=False)

    with dspy.context(lm=lm, adapter=ShortAdapter(), task=task, trace=None, disable_history=True):
        found = await page["CALENDAR"].find(task, "days", "How many days are left?", (), 1)

    assert found.text == "28"
    assert "days: first: Input should be a valid date" in model.asked[1]["messages"][-1]["content"]


async def test_the_program_of_the_page_answers(page, model, ask, programs, monkeypatch):
    monkeypatch.setitem(PROGRAMS, "first_passage", page["FirstPassage"])
    model.says("BSD-3-Clause")

    answer = await ask(program="first_passage")

    assert (answer.status, answer.answer) == ("answered", "BSD-3-Clause")
    assert [citation.doc_id for citation in answer.citations] == ["Flask"]
