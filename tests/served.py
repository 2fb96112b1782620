"""The gateway's routes in this process, over real agents; only the model's words are scripted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
from fastapi import FastAPI

from agents.runtime import Agents
from lakehouse.access.ledger import Ledger
from lakehouse.settings import Settings
from lakehouse.state.memory import Memories
from lakehouse.storage.database import Database
from serving.http.app import create_api
from serving.http.readiness import Probe
from serving.http.services import Services
from serving.tasks.durable import DurableTasks
from serving.tasks.idempotency import StoredAnswers
from serving.tasks.paid import Tasks


@dataclass
class Served:
    """The gateway's routes, an HTTP client for them, and the parts behind them."""

    api: FastAPI
    http: httpx.AsyncClient
    services: Services
    database: Database
    groups: tuple[str, ...] = ("eng",)  # of a key that names none

    @property
    def ledger(self) -> Ledger:
        return self.services.ledger

    @property
    def tasks(self) -> Tasks:
        return self.services.tasks

    def key(
        self, tenant: str = "acme", groups: Sequence[str] = (), daily_usd: str | None = None, **more: Any
    ) -> dict[str, str]:
        """Headers with a new key."""
        limit = Decimal(daily_usd) if daily_usd else None
        _, secret = self.ledger.create_key(tenant, groups or self.groups, "wiki", limit, **more)
        return {"Authorization": f"Bearer {secret}"}

    async def aclose(self) -> None:
        await self.tasks.stop_all()
        await self.http.aclose()
        self.database.close()


def serve(agents: Agents, settings: Settings, probes: Mapping[str, Probe]) -> Served:
    """Build the routes over these agents. Close the result at the end."""
    api = create_api()
    database = Database.open(settings)
    ledger, answers = Ledger(database), StoredAnswers(database)
    memories = Memories(settings)
    tasks = Tasks(settings, agents, ledger, answers, memories, api.state.metrics)
    api.state.services = Services(
        settings=settings,
        ledger=ledger,
        answers=answers,
        memories=memories,
        tasks=tasks,
        durable=DurableTasks(tasks),
        metrics=api.state.metrics,
        probes=probes,
    )
    http = httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://gateway")
    return Served(api, http, api.state.services, database)
