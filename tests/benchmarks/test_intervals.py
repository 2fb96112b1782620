"""Intervals and differences beside a benchmark's means."""

from tests.benchmarks.intervals import area_under_roc, difference, interval, with_interval


def test_an_interval_holds_the_mean_and_narrows_with_more_questions() -> None:
    few, many = interval([0, 1] * 10), interval([0, 1] * 1000)

    assert few[0] == many[0] == 0.5
    assert few[1] < many[1] < 0.5 < many[2] < few[2]
    assert with_interval([1, 1, 1]) == "100.0 (100.0-100.0)"


def test_a_paired_difference_is_surer_than_its_parts() -> None:
    hard, easy = [0.0, 0.5] * 50, [0.5, 1.0] * 50

    assert difference(easy, hard) == "+50.0 (+50.0 to +50.0)"
    assert interval(easy)[1] < interval(easy)[2]


def test_two_kinds_are_told_apart_by_the_share_of_pairs_in_order() -> None:
    assert area_under_roc([3, 4], [1, 2]) == 1
    assert area_under_roc([1, 2], [1, 2]) == 0.5
    assert area_under_roc([1], [2, 3]) == 0
