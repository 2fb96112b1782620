"""A program's actions: for the caller only, within the budget, and always on record."""

import asyncio
import threading
import time
from datetime import UTC, datetime
from decimal import Decimal

import dspy
import pytest

from agents.answer import PassageRef
from agents.task.actions import Action
from agents.task.budget import BudgetReached
from agents.task.searching import QUERY_CHARACTERS
from agents.task.task import current_task
from lakehouse.access.permissions import EVERYONE, Caller
from lakehouse.errors import NotFound, Unavailable
from tests.agents.conftest import CALLER, ENG, FLASK, HR, SAVED_USD, TOKENS, USD


async def call_model(task, error=None, **changes):
    async def work():
        if error:
            raise RuntimeError(error)

    await task.recorder.act(Action("chat", "read", 1, output="BSD", **(TOKENS | changes)), work)


# ---- searching ----------------------------------------------------------------------------------------------


async def test_a_search_asks_for_the_callers_tenant_and_keys(new_task, index):
    await new_task().search("Flask", hop=1, k=2)
    await new_task(caller=Caller("other", ("hr", "nobody"), "wiki", "k")).search("Flask", hop=1, k=2)
    await new_task(caller=Caller("acme", (), "wiki", "k")).search("Flask", hop=1, k=2)

    asked = [(one["tenant_id"], one["allowed_keys"]) for one in index.asked]
    assert asked == [("acme", (EVERYONE, ENG)), ("other", (EVERYONE, HR)), ("acme", (EVERYONE,))]


async def test_a_search_leaves_a_record_of_who_searched_and_a_step_of_what_was_found(new_task, spooled):
    task = new_task()

    found = await task.search("Flask", hop=2, k=1)

    assert found == [FLASK]
    [record] = spooled()
    assert (record.task_id, record.tenant_id, record.user_id, record.app, record.key_id) == (
        task.id,
        "acme",
        "ann",
        "wiki",
        "key_1",
    )
    assert (record.operation, record.hop, record.outcome, record.usd) == ("retrieval", 2, "ok", 0)
    assert (record.program, record.program_version, record.model) == ("read_each", "v1", None)
    [step] = task.steps
    assert (step.kind, step.hop, step.query) == ("search", 2, "Flask")
    assert step.passages == [PassageRef(doc_id="Flask", chunk_id="Flask#0", title="Flask")]


async def test_a_record_holds_nothing_that_was_asked_or_read(new_task, spooled):
    await new_task().search("a secret question", hop=1, k=1)

    [record] = spooled()
    assert "secret" not in record.to_json()
    assert "BSD" not in record.to_json()


async def test_a_query_without_end_is_cut(new_task, index):
    await new_task().search("许" * 5_000, hop=1, k=1)

    assert index.asked[0]["query"] == "许" * QUERY_CHARACTERS


async def test_a_lexical_search_embeds_nothing(new_task, index):
    await new_task().search("Flask", hop=1, k=1, mode="lexical")
    await new_task().search("Flask", hop=1, k=1, mode="dense")

    assert [one["vector"] is None for one in index.asked] == [True, False]


@pytest.mark.parametrize(
    "error", [NotFound("tenant 'acme': nothing"), Unavailable("milvus", "down"), RuntimeError("?")]
)
async def test_an_error_of_the_index_passes_through_and_is_recorded(new_task, index, spooled, error):
    index.error = error

    with pytest.raises(type(error)) as caught:
        await new_task().search("Flask", hop=1, k=1)

    assert caught.value is error
    assert [(record.outcome, record.error) for record in spooled()] == [("error", f"{type(error).__name__}: {error}")]


async def test_a_search_ends_when_the_tasks_time_does(new_task, index, spooled):
    index.delay = threading.Event()
    began = time.monotonic()
    try:
        with pytest.raises(BudgetReached, match="while searching"):
            await new_task(max_seconds=0.2).search("Flask", hop=1, k=1)
    finally:
        index.delay.set()

    assert time.monotonic() - began < 2
    assert [(record.operation, record.outcome) for record in spooled()] == [("retrieval", "error")]


async def test_a_cancelled_search_is_recorded(new_task, index, spooled):
    index.delay = threading.Event()
    search = asyncio.create_task(new_task().search("Flask", hop=1, k=1))
    await asyncio.to_thread(index.reached.wait, 10)

    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search

    index.delay.set()
    assert [(record.outcome, record.error) for record in spooled()] == [("error", "CancelledError:")]


# ---- calling the model, and the calculator -------------------------------------------------------------------


async def test_usage_is_the_sum_of_what_is_recorded(new_task, spooled):
    task = new_task()
    await call_model(task)
    await call_model(task, attempt=2, error="broke", output_tokens=1)
    await call_model(task, cached_tokens=0)

    records = spooled()
    assert (records[0].usd, records[0].saved_usd) == (USD, SAVED_USD)
    assert [record.outcome for record in records] == ["ok", "error", "ok"]
    assert task.usage.usd == sum(record.usd for record in records)
    assert task.usage.usd == sum(step.usd for step in task.steps)
    assert (task.usage.calls, task.usage.input_tokens, task.usage.output_tokens) == (3, 3000, 21)
    assert task.usage.cached_tokens == 1200


async def test_no_prompt_costs_more_than_its_worst_case(new_task, deps):
    model = deps.settings.llm_model
    dearest = deps.prices.cost(model, datetime.now(UTC), 300, 0, 40)

    assert new_task().context.worst_usd(300, 40) == dearest.usd == Decimal("0.0000407000")


async def test_a_sum_is_recorded_whether_it_can_be_worked_out_or_not(new_task, spooled):
    task = new_task()

    assert [await task.calculate(text, hop=1) for text in ("3 + 4", "1 / 0", "Kamenz")] == ["7", None, None]

    assert [(record.operation, record.outcome) for record in spooled()] == [
        ("execute_tool", "ok"),
        ("execute_tool", "error"),
        ("execute_tool", "error"),
    ]
    assert [(step.kind, step.query, step.output) for step in task.steps] == [
        ("tool", "3 + 4", "7"),
        ("tool", "1 / 0", None),
        ("tool", "Kamenz", None),
    ]


# ---- listeners, and programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
async def test_a_step_is_on_disk_when_a_listener_hears_of_it(new_task, spooled, kind):
    heard = []

    def hear(event):
        heard.append((event.data["kind"], [record.operation for record in spooled()]))

    async def hear_later(event):
        await asyncio.sleep(0)
        hear(event)

    task = new_task(on_event=hear if kind == "plain" else hear_later)
    await task.search("Flask", hop=1, k=1)
    await task.calculate("3 + 4", hop=1)
    await call_model(task)

    written = ["retrieval", "execute_tool", "chat"]
    assert heard == [("search", written[:1]), ("tool", written[:2]), ("chat", written)]


async def test_a_program_outside_a_task_is_told_so():
    with pytest.raises(RuntimeError, match=r"inside a task: call Agents\.ask"):
        current_task()


async def test_a_program_finds_its_own_task(new_task):
    async def mine(task):
        with dspy.context(task=task):
            await asyncio.sleep(0.01)
            return current_task() is task

    assert await asyncio.gather(*(mine(new_task()) for _ in range(5))) == [True] * 5


async def test_what_is_proposed_last_counts(new_task):
    task = new_task()
    await task.propose("BSD", [])
    await task.propose("3", [])

    assert (task.best_answer, task.citations, task.caller) == ("3", [], CALLER)
