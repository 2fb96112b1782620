"""Runs of one tenant write in the order in which they first asked; runs of other tenants do not wait."""

import time

import pytest

from spark_jobs.runner.turns import FIRST_WAIT_S, MAX_WAIT_S, Turns, wait_at


def test_a_later_run_waits_for_an_earlier_one_that_still_waits() -> None:
    turns = Turns()

    assert turns.wait_s("acme", "first") == 0
    assert turns.wait_s("acme", "second") > 0
    assert turns.wait_s("globex", "third") == 0

    turns.end("acme", "first")
    assert turns.wait_s("acme", "second") == 0


def test_a_run_that_never_asks_again_loses_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    turns, now = Turns(), time.monotonic()
    turns.wait_s("acme", "killed")
    monkeypatch.setattr(time, "monotonic", lambda: now + 10 * MAX_WAIT_S)

    assert turns.wait_s("acme", "next") == 0


def test_those_far_behind_ask_seldom() -> None:
    assert (wait_at(0), wait_at(1), wait_at(15)) == (FIRST_WAIT_S, 4 * FIRST_WAIT_S, MAX_WAIT_S)
