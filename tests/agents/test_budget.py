"""The caps hold whatever the calls cost, and say which of them stopped the task."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import budget as budgets
from agents.budget import MAX_MODEL_CALLS, Budget, BudgetReached

CENTS = st.integers(0, 300).map(lambda cents: Decimal(cents) / 100)


@given(max_usd=CENTS, calls=st.lists(st.tuples(CENTS, CENTS).map(sorted), max_size=50))
def test_no_order_of_calls_spends_more_than_the_cap(max_usd, calls):
    budget = Budget(max_usd, 60)

    for actual_usd, worst_usd in calls:
        try:
            budget.allow_call(worst_usd)
        except BudgetReached:
            continue
        budget.charge(actual_usd)

    assert budget.spent_usd <= max_usd


def test_the_last_cent_may_be_spent_and_no_more():
    budget = Budget(Decimal("0.03"), 60)

    budget.allow_call(Decimal("0.03"))
    budget.charge(Decimal("0.01"))
    budget.allow_call(Decimal("0.02"))
    budget.charge(Decimal("0.02"))

    with pytest.raises(BudgetReached, match=r"max_usd=0.03: \$0.03 is spent and the next call may cost \$0.01"):
        budget.allow_call(Decimal("0.01"))


def test_calls_that_cost_nothing_end_too():
    budget = Budget(Decimal(1), 60)
    for _ in range(MAX_MODEL_CALLS):
        budget.allow_call(Decimal(0))

    with pytest.raises(BudgetReached, match=f"made {MAX_MODEL_CALLS} model calls"):
        budget.allow_call(Decimal(0))


def test_a_refused_call_is_not_counted():
    budget = Budget(Decimal(1), 60)

    with pytest.raises(BudgetReached):
        budget.allow_call(Decimal(2))

    assert (budget.calls, budget.spent_usd) == (0, 0)


def test_time_ends_on_the_second(monkeypatch):
    now = 1000.0
    monkeypatch.setattr(budgets.time, "monotonic", lambda: now)
    budget = Budget(Decimal(1), 2.5)

    now = 1002.0
    assert (budget.elapsed_s, budget.seconds_left()) == (2.0, 0.5)
    now = 1002.5
    with pytest.raises(BudgetReached, match=r"max_seconds=2.5 is used up"):
        budget.seconds_left()
    with pytest.raises(BudgetReached, match=r"max_seconds=2.5 is used up"):
        budget.allow_call(Decimal(0))
