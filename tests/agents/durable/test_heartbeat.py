"""Heartbeats: who has fallen silent, and which of the others takes over."""

import pytest

from agents.durable import heartbeat
from agents.durable.heartbeat import Heartbeat
from lakehouse.settings import Settings
from lakehouse.storage.database import Database


@pytest.fixture
def now(monkeypatch):
    """This process's clock, in seconds."""
    seconds = [0.0]
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: seconds[0])
    return seconds


@pytest.fixture
def database(tmp_path, database_url):
    database = Database.open(Settings(home=tmp_path, database_url=database_url))
    yield database
    database.close()


def test_an_executor_whose_count_stands_still_is_silent_and_one_of_the_others_leads(database, now):
    first, second, third = (Heartbeat(database, f"executor_{number}", silent_s=10) for number in (1, 2, 3))
    for executor in (first, second, third):
        executor.beat()
    silent = []
    for now[0] in (0.0, 5.0, 10.0):
        for executor in (second, third):
            executor.beat()
        silent.append((second.silent([]), second.leads(), third.silent([]), third.leads()))

    assert silent[:2] == [(set(), False, set(), False)] * 2
    assert silent[2] == ({"executor_1"}, True, {"executor_1"}, False)


def test_an_executor_that_left_tasks_and_no_count_is_silent_in_time(database, now):
    executor = Heartbeat(database, "executor_1", silent_s=10)
    assert executor.silent(["executor_0"]) == set()
    now[0] = 10.0

    assert executor.silent(["executor_0"]) == {"executor_0"}
    assert executor.leads()
