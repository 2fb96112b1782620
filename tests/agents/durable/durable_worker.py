"""Processes that run durable tasks and can be killed at a chosen point; a template process forks them, for speed.

    python -m tests.agents.durable.durable_worker

Each line of input describes a life as JSON; the answer is a line with its process id. A life submits its question under
one Idempotency-Key, so that only the first life does. It runs until the task has ended, or until it has done
`dies_after` actions itself; then it kills its own process, `after` the journal recorded the action or `before`.
SIGTERM stops a life as it stops a gateway; at SIGUSR1 a life cancels the task.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from agents.durable import executor as durable
from agents.durable.executor import DurableJournal, Executor
from agents.runtime import Agents, Dependencies
from lakehouse.access.ledger import Key, Ledger
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings
from lakehouse.state.memory import Memories
from lakehouse.storage.database import Database
from serving.contract.bodies import AskBody
from serving.contract.metrics import Metrics
from serving.tasks.durable import DurableTasks
from serving.tasks.idempotency import StoredAnswers
from serving.tasks.paid import Tasks
from tests.agents.conftest import GivenPassages, OneAxis, passage

durable.BEAT_S, durable.SILENT_S, durable.QUEUE_POLL_S = 0.1, 1.0, 0.1
IDEMPOTENCY_KEY = "once"


class MortalJournal(DurableJournal):
    """Counts the actions that this process does itself, and kills the process at a chosen action."""

    dies_after = 0  # 0: it lives
    dies = "after"
    _done = itertools.count(1)

    async def once(self, name: str, work: Any) -> Any:
        number: int | None = None

        async def counted() -> Any:
            nonlocal number
            result = await work()
            number = next(self._done)
            self._die(number, "before")
            return result

        result = await super().once(name, counted)
        self._die(number, "after")
        return result

    def _die(self, number: int | None, when: str) -> None:
        if number is not None and number == self.dies_after and when == self.dies:
            os.kill(os.getpid(), signal.SIGKILL)


durable.DurableJournal = MortalJournal  # type: ignore[misc]


def parts(home: Path, passages: Sequence[tuple[str, str, float]] = (), **more: Any) -> tuple[Database, Ledger, Tasks]:
    """The parts of a gateway. `passages`: title, text and probability of what each search finds."""
    settings = Settings(home=home, **more)
    prices = Prices.from_file(settings.prices_file)
    given = [replace(passage(title, text), probability=probability) for title, text, probability in passages]
    index = GivenPassages(given) if given else GivenPassages()
    retriever = Retriever(settings, index, load=lambda model: OneAxis())  # type: ignore[arg-type,return-value]
    agents = Agents(Dependencies(settings, retriever, Spool(settings.spool_dir), prices))
    database = Database.open(settings)
    ledger, answers, memories = Ledger(database), StoredAnswers(database), Memories(settings)
    return database, ledger, Tasks(settings, agents, ledger, answers, memories, Metrics())


def only_key(ledger: Ledger) -> Key:
    (key,) = ledger.list_keys()
    return key


async def live(life: dict[str, Any]) -> None:
    database, ledger, tasks = parts(Path(life["home"]), life["passages"], **life["settings"])
    MortalJournal.dies_after, MortalJournal.dies = life["dies_after"], life["dies"]
    handed = DurableTasks(tasks)
    executor = Executor(database, handed.work)
    handed.attach(executor)
    await executor.start()
    key = only_key(ledger)
    body = AskBody(question=life["question"], program=life["program"], max_usd=Decimal("0.05"))
    task = await handed.submit(key, body, IDEMPOTENCY_KEY)
    stop, cancel = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, cancel.set)
    while task.status in ("queued", "running") and not stop.is_set():
        await asyncio.sleep(0.05)
        task = await (handed.cancel if cancel.is_set() else handed.get)(key, task.task_id)
    await executor.stop()
    await asyncio.to_thread(_report, Path(life["report"]), task.model_dump_json())


def _report(report: Path, text: str) -> None:
    """Write whole or not at all: the test reads the file as soon as it exists."""
    unfinished = report.with_suffix(".unfinished")
    unfinished.write_text(text)
    unfinished.replace(report)


def main() -> None:
    for line in sys.stdin:
        process = os.fork()
        if process:
            print(process, flush=True)
            continue
        try:
            asyncio.run(live(json.loads(line)))
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)


if __name__ == "__main__":
    main()
