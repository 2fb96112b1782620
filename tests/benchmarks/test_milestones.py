"""The paired test by its definition, and a line checked by hand."""

from decimal import Decimal

import pytest

from tests.benchmarks.milestones import line, mcnemar


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(0, 0, 1.0), (5, 5, 1.0), (5, 0, 0.0625), (0, 5, 0.0625), (8, 2, 0.109375)]
)
def test_the_paired_test_asks_how_a_fair_coin_would_fall(won, lost, p):
    assert mcnemar(won, lost) == pytest.approx(p)


def test_a_line_tells_success_cost_and_what_was_won():
    def results(*successes):
        row = {"em": True, "f1": 0.5, "faithful": None, "status": "answered", "usd": Decimal("0.01")}
        return {str(number): row | {"success": success} for number, success in enumerate(successes)}

    ours, baseline = results(True, True, True, False), results(True, False, False, False)

    said = line(ours, baseline, sorted(ours))

    assert said.startswith("success 75.0 (")
    assert "exact 100.0, F1 50.0" in said
    assert "$0.0100000 a question, $0.0133333 a success" in said
    assert "2 won and 0 lost, p = 0.5" in said
    assert "won" not in line(baseline, baseline, sorted(ours))
