"""The gateway's routes in this process over real agents, for tests in which only the model's words are scripted."""

from dataclasses import dataclass
from typing import Any

import httpx

from agents.runtime import Agents
from lakehouse.ledger import Ledger
from lakehouse.memory import Memories
from lakehouse.settings import Settings
from serving.api import Services, create_api
from serving.durable_tasks import DurableTasks
from serving.idempotency import StoredAnswers
from serving.tasks import Tasks


@dataclass
class Served:
    """An app that asks over HTTP."""

    http: httpx.AsyncClient
    ledger: Ledger
    tasks: Tasks
    answers: StoredAnswers

    def key(self, tenant: str = "acme", groups: tuple[str, ...] = ("eng",), **more: Any) -> dict[str, str]:
        """Headers with a new key."""
        _, secret = self.ledger.create_key(tenant, groups, "wiki", None, **more)
        return {"Authorization": f"Bearer {secret}"}

    async def aclose(self) -> None:
        await self.tasks.stop_all()
        await self.http.aclose()
        self.ledger.close()
        self.answers.close()


def serve(agents: Agents, settings: Settings) -> Served:
    """Close it at the end."""
    api = create_api()
    ledger, answers = Ledger(settings.ledger_path), StoredAnswers(settings.ledger_path)
    memories = Memories(settings)
    tasks = Tasks(settings, agents, ledger, answers, memories, api.state.metrics)
    api.state.services = Services(
        settings=settings,
        agents=agents,
        ledger=ledger,
        answers=answers,
        memories=memories,
        tasks=tasks,
        durable=DurableTasks(tasks),
        metrics=api.state.metrics,
        probes={},
    )
    return Served(
        httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://gateway"), ledger, tasks, answers
    )
