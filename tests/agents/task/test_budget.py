"""The caps hold whatever the calls cost, and the error names the cap that stopped the task."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.task import budget as budgets
from agents.task.budget import Budget, BudgetReached, Limits

CENTS = st.integers(0, 300).map(lambda cents: Decimal(cents) / 100)


@given(max_usd=CENTS, calls=st.lists(st.tuples(CENTS, CENTS).map(sorted), max_size=50))
def test_no_order_of_calls_spends_more_than_the_cap(max_usd, calls):
    budget = Budget(Limits(max_usd, 60))

    for actual_usd, worst_usd in calls:
        try:
            hold = budget.allow_call(worst_usd)
        except BudgetReached:
            continue
        budget.settle(hold, actual_usd, 0)

    assert budget.spent_usd <= max_usd


def test_the_last_cent_may_be_spent_and_no_more():
    budget = Budget(Limits(Decimal("0.03"), 60))

    budget.settle(budget.allow_call(Decimal("0.03")), Decimal("0.01"), 0)
    budget.settle(budget.allow_call(Decimal("0.02")), Decimal("0.02"), 0)

    with pytest.raises(BudgetReached, match=r"max_usd=0.03: \$0.03 is spent and the next call may cost \$0.01"):
        budget.allow_call(Decimal("0.01"))


def test_calls_that_cost_nothing_end_too():
    budget = Budget(Limits(Decimal(1), 60, max_calls=3))
    for _ in range(3):
        budget.allow_call(Decimal(0))

    with pytest.raises(BudgetReached, match="max_calls=3: the task made 3 model calls"):
        budget.allow_call(Decimal(0))


def test_calls_under_way_count_as_the_dearest_that_they_can_be():
    budget = Budget(Limits(Decimal("0.05"), 60, max_tokens=1_000))

    first = budget.allow_call(Decimal("0.03"), 600)
    with pytest.raises(BudgetReached, match=r"max_usd=0\.05"):
        budget.allow_call(Decimal("0.03"))
    with pytest.raises(BudgetReached, match="max_tokens=1000: 0 are used and the next call may take 500"):
        budget.allow_call(Decimal("0.01"), 500)
    budget.settle(first, Decimal("0.01"), 300)

    budget.allow_call(Decimal("0.03"), 700)
    assert (budget.spent_usd, budget.tokens, budget.calls) == (Decimal("0.01"), 300, 2)


def test_searches_and_tool_calls_are_steps_and_a_tool_has_its_price():
    budget = Budget(Limits(Decimal("0.05"), 60, max_steps=3))

    budget.allow_step()
    budget.allow_step(Decimal("0.04"))
    with pytest.raises(BudgetReached, match=r"max_usd=0\.05: \$0\.04 is spent"):
        budget.allow_step(Decimal("0.02"))
    budget.allow_call(Decimal(0))

    with pytest.raises(BudgetReached, match="max_steps=3: the task took 3 steps"):
        budget.allow_step()


def test_a_refused_call_is_not_counted():
    budget = Budget(Limits(Decimal(1), 60))

    with pytest.raises(BudgetReached):
        budget.allow_call(Decimal(2))

    assert (budget.calls, budget.spent_usd) == (0, 0)


def test_time_ends_on_the_second(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(budgets.time, "monotonic", lambda: now)
    budget = Budget(Limits(Decimal(1), 2.5))

    now = 1002.0
    assert (budget.elapsed_s, budget.seconds_left()) == (2.0, 0.5)
    now = 1002.5
    with pytest.raises(BudgetReached, match=r"max_seconds=2.5 is used up"):
        budget.seconds_left()
    with pytest.raises(BudgetReached, match=r"max_seconds=2.5 is used up"):
        budget.allow_call(Decimal(0))
