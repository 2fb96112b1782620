"""A model call that takes far longer than usual is made once more; the slower one is cancelled, and both are paid."""

import asyncio
import itertools
import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from agents.task.hedging import MAX_SAVED, MIN_CALLS, MIN_PATIENCE_S, TIMES_USUAL, Hedging
from agents.task.purpose import call_purpose
from lakehouse.costs.call_records import Spool
from tests.agents.conftest import SILENT, TOKENS, USD, Reply
from tests.agents.llm.test_engine import READING, request


@pytest.fixture
def impatient(deps):
    for _ in range(MIN_CALLS):
        deps.hedging.observe("read", 0.01)
    return deps.hedging


async def complete(engine_of, task):
    call_purpose.set(READING)
    return (await engine_of(task).complete(request())).message.text


async def test_a_straggler_is_made_again_and_the_faster_one_counts(model, engine_of, new_task, spooled, impatient):
    model.says(SILENT, Reply("fast"))
    task, began = new_task(), time.monotonic()

    said = await complete(engine_of, task)

    assert said == "fast"
    assert time.monotonic() - began < MIN_PATIENCE_S + 2
    await asyncio.wait_for(model.hung_up.wait(), 5)
    slow, fast = sorted(spooled(), key=lambda record: record.started_at)
    assert (slow.outcome, slow.error, fast.outcome) == ("error", "Beaten: another attempt ended first", "ok")
    assert (task.usage.calls, task.budget.calls, task.usage.usd, task.budget.spent_usd) == (2, 2, USD, USD)


async def test_a_straggler_that_comes_after_all_wins(model, engine_of, new_task, spooled, impatient):
    model.says(Reply("slow", delay_s=MIN_PATIENCE_S + 0.3), SILENT)

    said = await complete(engine_of, new_task())

    assert said == "slow"
    assert sorted(record.outcome for record in spooled()) == ["error", "ok"]


async def test_a_second_attempt_that_breaks_leaves_the_first_its_chance(model, engine_of, new_task, impatient):
    model.says(Reply("slow", delay_s=MIN_PATIENCE_S + 0.3), Reply("", breaks=True))

    assert await complete(engine_of, new_task()) == "slow"


class SlowDisk(Spool):
    """Delays the first record until a second one comes, or until `writes` is set."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.writes = threading.Event()
        self._records = itertools.count()

    def append(self, *records) -> None:
        if next(self._records) == 0:
            self.writes.wait(10)
        super().append(*records)
        self.writes.set()


async def test_a_call_that_only_waits_for_its_record_is_not_made_again(
    model, engine_of, new_task, deps, spooled, impatient, tmp_path
):
    disk = SlowDisk(tmp_path / "spool")
    model.says(Reply("said"))
    call = asyncio.create_task(complete(engine_of, new_task(deps=replace(deps, spool=disk))))
    await asyncio.sleep(MIN_PATIENCE_S + 0.3)
    disk.writes.set()

    assert await call == "said"
    assert [record.outcome for record in spooled()] == ["ok"]


async def test_one_that_ends_while_the_other_waits_for_its_record_does_not_cancel_it(
    model, engine_of, new_task, deps, spooled, impatient, tmp_path
):
    disk = SlowDisk(tmp_path / "spool")
    model.says(Reply("slow", delay_s=MIN_PATIENCE_S + 0.3), Reply("second", delay_s=0.6))

    assert await complete(engine_of, new_task(deps=replace(deps, spool=disk))) == "slow"
    assert [record.outcome for record in spooled()] == ["ok", "ok"]


async def test_nothing_is_made_again_where_the_budget_has_no_room_for_it(
    model, engine_of, new_task, spooled, impatient
):
    model.says(Reply("slow", delay_s=MIN_PATIENCE_S + 0.3))

    assert await complete(engine_of, new_task(max_calls=1)) == "slow"
    assert len(spooled()) == 1


async def test_few_calls_are_made_twice(model, engine_of, new_task, impatient):
    impatient._saved = 0.5
    model.says(Reply("slow", delay_s=MIN_PATIENCE_S + 0.3))

    assert await complete(engine_of, new_task()) == "slow"
    assert len(model.asked) == 1


async def test_a_stopped_task_cancels_both(model, engine_of, new_task, spooled, impatient):
    model.says(SILENT, SILENT)
    call = asyncio.create_task(complete(engine_of, task := new_task()))
    async with asyncio.timeout(30):
        while len(model.asked) < 2:  # noqa: ASYNC110  the model runs in another thread
            await asyncio.sleep(0.05)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert [record.error[:14] for record in spooled()] == ["CancelledError"] * 2
    assert (task.budget._held_usd, task.budget._held_tokens) == (0, 0)


def test_patience_is_a_multiple_of_what_nearly_all_calls_take_and_repeats_are_rare():
    hedging = Hedging()
    for _ in range(MIN_CALLS - 1):
        hedging.observe("read", 2.0)
    assert hedging.patience_s("read") is None
    hedging.observe("read", 2.0)
    assert hedging.patience_s("read") == 2.0 * TIMES_USUAL
    assert hedging.patience_s("plan") is None

    assert [hedging.take_second_call() for _ in range(4)] == [True] * int(MAX_SAVED) + [False]
    for _ in range(20):
        hedging.observe("read", 2.0)
    assert [hedging.take_second_call() for _ in range(2)] == [True, False]


def test_a_call_made_before_the_process_died_counts_too(new_task):
    budget = new_task().budget
    budget.settle(None, Decimal("0.01"), TOKENS["input_tokens"])

    assert (budget.calls, budget.steps, budget.spent_usd, budget.tokens) == (1, 1, Decimal("0.01"), 1000)
