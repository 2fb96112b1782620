"""A task that goes in circles gets one warning, and then ends with a reason."""

import pytest

from agents.task.budget import BudgetReached
from agents.task.loops import LoopDetected, LoopDetector
from tests.agents.conftest import FLASK


def test_the_third_time_ends_the_task_and_tells_nothing_of_what_was_asked():
    loops = LoopDetector()
    assert [loops.note("calling search", "Payroll") for _ in range(2)] == [1, 2]

    with pytest.raises(LoopDetected, match=r"^calling search the same way 3 times brought nothing new$") as caught:
        loops.note("calling search", "Payroll")

    assert isinstance(caught.value, BudgetReached)


def test_other_arguments_are_no_repeat():
    loops = LoopDetector()

    assert {loops.note("calling search", "a", "b"), loops.note("calling search", "ab"), loops.note("read", "a")} == {1}


async def test_a_model_that_says_the_same_to_the_same_is_stopped(model, index, ask, spooled):
    index.passages = [FLASK] * 3
    model.always_says("BSD-3-Clause")

    answer = await ask()

    assert (answer.answer, answer.status) == ("BSD-3-Clause", "partial")
    assert answer.reason == "read answering the same way 3 times brought nothing new"
    assert len(model.asked) == 3
    assert (spooled()[-1].outcome, spooled()[-1].error) == ("partial", answer.reason)
