"""Durable tasks that are killed at every step, taken over, stopped or cancelled: paid once, answered the same."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.costs.call_records import CallRecord, segment_lines
from tests.agents.conftest import Reply
from tests.agents.durable.durable_worker import only_key, parts
from tests.databases import empty_database

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]

QUESTION = "Which license has the framework Flask?"
SUBS = [
    {"id": "oder", "role": "researcher", "question": "How long is the Oder?", "needs": []},
    {"id": "warta", "role": "researcher", "question": "How long is the Warta?", "needs": []},
    {"id": "sum", "role": "coder", "question": "How much is {oder} - {warta}?", "needs": ["oder", "warta"]},
]
WORDS = {  # by a part of the prompt: which of two parallel sub-tasks asks first is chance
    "Copy the words of the question": "the framework Flask",
    "Which is the framework Flask?": "Flask",
    "Cut the question into": json.dumps({"tasks": SUBS}),
    "Write a few lines of plain Python": json.dumps({"code": "866 - 808"}),
    'Say "complete"': "complete",
    "Give the number of the answer": "1",  # the other one in the second round, whose order is the opposite
    "A rumour: 9": "9",
    "How long is the Oder?": "866",
    "How long is the Warta?": "808",
    "How many other pages": "1",
    QUESTION: "BSD-3-Clause",
}
RIVERS = [("Rivers", "The Oder has 866 km and the Warta 808", 0.9)]
UNSURE = [("Atlas", "Oder 866, Warta 808", 0.45), ("Rumour", "A rumour: 9", 0.3)]


def scripted(body: dict[str, Any]) -> Reply:
    prompt = "\n".join(message["content"] for message in body["messages"])
    return Reply(next(words for sign, words in WORDS.items() if sign in prompt))


class Workers:
    """Lives of executors, each over a home and its database: SQLite under home, or one of the Postgres server's."""

    def __init__(
        self, template: "subprocess.Popen[str]", folder: Path, settings: dict[str, Any], postgres: str | None
    ) -> None:
        self._template = template
        self._folder = folder
        self._settings = settings
        self._postgres = postgres
        self._database_urls: dict[Path, str] = {}
        self._lives = 0

    def home(self, name: str) -> Path:
        home = self._folder / name
        home.mkdir()
        self._database_urls[home] = empty_database(self._postgres) if self._postgres else ""
        database, ledger, _ = parts(home, **self._settings_of(home))
        ledger.create_key("acme", ["eng"], "wiki", Decimal(1))
        database.close()
        return home

    async def begin(
        self,
        home: Path,
        program: str = "multihop",
        dies_after: int = 0,
        dies: str = "after",
        passages: Sequence[tuple[str, str, float]] = (),
        **settings: Any,
    ) -> "Life":
        self._lives += 1
        report = self._folder / f"report{self._lives}.json"
        life = {
            "home": str(home),
            "settings": self._settings_of(home) | settings,
            "report": str(report),
            "question": QUESTION,
        }
        life |= {"dies_after": dies_after, "dies": dies, "program": program, "passages": passages}
        assert self._template.stdin
        assert self._template.stdout
        self._template.stdin.write(json.dumps(life) + "\n")
        self._template.stdin.flush()
        process = int(await asyncio.to_thread(self._template.stdout.readline))
        return Life(process, report)

    def spent(self, home: Path) -> tuple[Decimal, Decimal]:
        """US dollars of the only key: settled or accrued, and held."""
        database, ledger, _ = parts(home, **self._settings_of(home))
        today = ledger.today(only_key(ledger).key_id)
        database.close()
        return today.spent_usd, today.reserved_usd

    def _settings_of(self, home: Path) -> dict[str, Any]:
        return self._settings | {"database_url": self._database_urls[home]}


class Life:
    def __init__(self, process: int, report: Path) -> None:
        self.process = process
        self._report = report

    async def died(self) -> None:
        """Wait until the process is gone; a zombie of the template's is."""
        deadline = time.monotonic() + 30
        while psutil.Process(self.process).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "still alive"
            await asyncio.sleep(0.02)

    async def task(self) -> dict[str, Any]:
        """The report that it writes when the task has ended."""
        deadline = time.monotonic() + 60
        while not self._report.exists():
            assert time.monotonic() < deadline, "no end"
            await asyncio.sleep(0.02)
        return json.loads(self._report.read_text())


@pytest.fixture(scope="module")
def template():
    command = [sys.executable, "-m", "tests.agents.durable.durable_worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(params=["sqlite", "postgres"])
def workers(request, template, tmp_path, model, warehouse):
    model.answers(scripted)
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return Workers(template, tmp_path, {"warehouse": warehouse, "llm_base_url": model.url}, postgres)


def records(home: Path) -> list[CallRecord]:
    paths = sorted((home / "spool").rglob("*.jsonl"))
    return [CallRecord.from_json(line) for path in paths for line in segment_lines(path)]


def timeless(task: dict[str, Any]) -> dict[str, Any]:
    """The answer without times and ids."""
    answer = json.loads(json.dumps(task["answer"]))
    for step in answer["steps"]:
        del step["latency_ms"], step["started_at"]
    answer["steps"].sort(key=json.dumps)
    del answer["latency_s"], answer["task_id"]
    return answer


@pytest.mark.timeout(900)  # two processes a step: minutes where the machine is busy
@pytest.mark.parametrize(
    ("workers", "program", "side_by_side", "passages"),
    [
        ("sqlite", "multihop", 0, ()),
        ("sqlite", "team", 1, RIVERS),
        ("sqlite", "team", 1, UNSURE),
        ("postgres", "multihop", 0, ()),
    ],
    indirect=["workers"],
)
async def test_killed_after_every_step_a_task_answers_the_same_and_pays_nothing_twice(
    workers,
    model,
    program,
    side_by_side,
    passages,
):
    """Where sub-tasks run side by side, the other one's action may be cut off and done again; a finished one never."""
    home = workers.home("undisturbed")
    undisturbed = await (await workers.begin(home, program, passages=passages)).task()
    calls, actions = len(model.asked), len(records(home))
    assert (undisturbed["status"], undisturbed["answer"]["status"]) == ("done", "answered")
    debates = [step for step in undisturbed["answer"]["steps"] if (step["query"] or "").startswith("debate ")]
    assert len(debates) == (2 if passages == UNSURE else 0)
    usd = Decimal(undisturbed["answer"]["usage"]["usd"])

    for boundary in range(1, actions + 1):
        home, before = workers.home(f"killed{boundary}"), len(model.asked)
        await (await workers.begin(home, program, boundary, passages=passages)).died()
        resumed = await (await workers.begin(home, program, passages=passages)).task()

        assert timeless(resumed) == timeless(undisturbed), boundary
        assert 0 <= len(model.asked) - before - calls <= side_by_side, boundary
        assert 0 <= len(records(home)) - actions <= side_by_side, boundary
        assert workers.spent(home) == (usd, 0)


async def test_what_is_done_and_not_yet_kept_is_done_again_and_each_time_is_on_the_bill(workers, model):
    home = workers.home("before")
    await (await workers.begin(home, dies_after=4, dies="before")).died()
    task = await (await workers.begin(home)).task()

    written = records(home)
    assert len([record for record in written if record.operation == "chat"]) == len(model.asked)
    assert len(written) == len(task["steps"]) + 2  # the one done twice, and the task itself
    assert task["answer"]["status"] == "answered"


async def stopped_in_a_call(workers, model, home, by):
    """A life that gets a signal while it waits for the model."""
    model.says(Reply("1", silent=True))
    life = await workers.begin(home)
    await asyncio.wait_for(model.keeps_waiting.wait(), 30)
    os.kill(life.process, by)
    return life


async def frozen_in_a_call(workers, model, home):
    """A life that is frozen between two of its writes: SQLite lets nobody write while one stands still in its own."""
    life = await stopped_in_a_call(workers, model, home, signal.SIGSTOP)
    while not all(is_writable(file) for file in home.glob("*.sqlite")):
        os.kill(life.process, signal.SIGCONT)
        await asyncio.sleep(0.01)
        os.kill(life.process, signal.SIGSTOP)
    return life


def is_writable(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0.1)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


async def test_one_that_was_taken_for_dead_and_wakes_up_changes_nothing(workers, model):
    home = workers.home("frozen")
    frozen = await frozen_in_a_call(workers, model, home)

    task = await (await workers.begin(home)).task()
    os.kill(frozen.process, signal.SIGCONT)

    assert await frozen.task() == task
    assert (task["status"], task["answer"]["status"]) == ("done", "answered")
    assert [record.outcome for record in records(home) if record.operation == "invoke_agent"] == ["answered"]
    assert workers.spent(home) == (Decimal(task["answer"]["usage"]["usd"]), 0)


async def test_a_gateway_that_stops_leaves_its_tasks_to_the_next(workers, model):
    home = workers.home("stopped")
    stopped = await stopped_in_a_call(workers, model, home, signal.SIGTERM)
    assert (await stopped.task())["status"] == "running"
    await stopped.died()
    held = workers.spent(home)[1]

    task = await (await workers.begin(home)).task()

    assert held > 0
    assert task["answer"]["status"] == "answered"
    assert workers.spent(home) == (Decimal(task["answer"]["usage"]["usd"]), 0)


async def test_cancelled_anywhere_it_stops_in_the_middle_of_a_call_and_what_it_spent_is_settled(workers, model):
    home = workers.home("cancelled")
    model.says(Reply("1"), Reply("1", silent=True))
    works = await workers.begin(home)
    await asyncio.wait_for(model.keeps_waiting.wait(), 30)
    began = time.monotonic()
    os.kill(works.process, signal.SIGUSR1)

    task = await works.task()
    await works.died()

    assert time.monotonic() - began < 10
    assert (task["status"], task["answer"], task["problem"]) == ("cancelled", None, None)
    assert workers.spent(home) == (sum(record.usd for record in records(home)), 0)
    assert len(model.asked) == 2


@pytest.mark.parametrize("workers", ["postgres"], indirect=True)
async def test_it_is_the_same_on_postgres(workers, model):
    home = workers.home("postgres")
    life = {"program": "team", "passages": RIVERS}
    await (await workers.begin(home, **life, dies_after=4)).died()

    task = await (await workers.begin(home, **life)).task()

    assert (task["status"], task["answer"]["answer"]) == ("done", "58")
    assert not (home / "lakehop.sqlite").exists()
    assert workers.spent(home) == (Decimal(task["answer"]["usage"]["usd"]), 0)
