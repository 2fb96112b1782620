"""The BentoML service that app teams call: `bentoml serve serving.gateway:Gateway --host 127.0.0.1 --port 3000`.

BentoML gives the process its supervisor (a dead worker comes back), access log, traces, time limit and packaging;
the routes are `serving.http.app`. They are a middleware, because BentoML's own /readyz, /metrics, / and 404 come before
a mounted app (`@bentoml.asgi_app`), and each of them belongs to our contract.

`bentoml serve` imports this module twice, in the supervisor and in the worker. Heavy modules (dspy, torch, pymilvus:
half a gigabyte) are therefore imported where the worker uses them.
"""

import asyncio
import sys
from datetime import UTC, datetime

import bentoml
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.access.ledger import Ledger
from lakehouse.access.mcp_servers import load_mcp_servers
from lakehouse.costs.prices import Prices
from lakehouse.errors import LakehopError
from lakehouse.index.embedding import load_tokenizer
from lakehouse.settings import MAX_TASK_SECONDS, Settings, load_settings
from lakehouse.storage.database import Database
from serving.http.app import create_api
from serving.http.readiness import PROBE_TIMEOUT_S
from serving.http.services import Services
from serving.tasks.durable import DurableTasks
from serving.tasks.idempotency import StoredAnswers
from serving.tasks.paid import OVERRUN_S, Tasks

api = create_api()


class Routes:
    """ASGI middleware that answers every HTTP request by our routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (api if scope["type"] == "http" else self.app)(scope, receive, send)


@bentoml.service(
    name="gateway",
    workers=1,  # async: the work is in Milvus and the model; a second worker is a second embedder in memory
    traffic={"timeout": MAX_TASK_SECONDS + 2 * OVERRUN_S},  # after the gateway's own limit, which answers in our words
    metrics={"enabled": False},  # see serving.contract.metrics
)
class Gateway:
    """Answers questions with citations, within caps. It starts while Milvus or vLLM is down; /readyz names the part."""

    @bentoml.on_deployment
    @staticmethod
    def check_settings() -> None:
        """Check in the supervisor, before any worker: BentoML restarts a worker that cannot start without end."""
        try:
            settings = load_settings()
            Prices.from_file(settings.prices_file).require(settings.llm_model, datetime.now(UTC))
            load_tokenizer(settings.embedding_model)
            Database.open(settings).close()
            load_mcp_servers(settings)
        except LakehopError as error:
            sys.exit(str(error))

    def __init__(self) -> None:
        from agents.durable.executor import Executor
        from agents.runtime import Agents, Dependencies
        from agents.tools.mcp.servers import McpServers
        from lakehouse.costs.call_records import Spool
        from lakehouse.index.server import Server
        from lakehouse.retrieval.retriever import Retriever
        from lakehouse.state.memory import Memories

        settings = load_settings()
        self.retriever, self.milvus = Retriever(settings), Server(settings)
        self.retriever.warm_up()
        self.servers = McpServers(load_mcp_servers(settings))
        self.agents = Agents(
            Dependencies(
                settings=settings,
                retriever=self.retriever,
                spool=Spool(settings.spool_dir),
                prices=Prices.from_file(settings.prices_file),
                servers=self.servers,
            )
        )
        self.database = Database.open(settings)
        ledger, answers = Ledger(self.database), StoredAnswers(self.database)
        memories = Memories(settings)
        self.tasks = Tasks(settings, self.agents, ledger, answers, memories, api.state.metrics)
        self.durable = DurableTasks(self.tasks)
        self.executor = Executor(self.database, self.durable.work)
        self.durable.attach(self.executor)
        self.model = _model_client(settings)
        api.state.services = Services(
            settings=settings,
            ledger=ledger,
            answers=answers,
            memories=memories,
            tasks=self.tasks,
            durable=self.durable,
            metrics=api.state.metrics,
            probes={"milvus": self._probe_milvus, "vllm": self._probe_model},
        )

    @bentoml.on_startup
    async def start(self) -> None:
        """Resume durable tasks, and list the tools of the MCP servers."""
        self.servers.begin()
        await self.executor.start()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Leave durable tasks to the next gateway, settle the other tasks, then close all connections."""
        await self.executor.stop()
        await self.tasks.stop_all()
        await self.agents.aclose()
        await self.model.aclose()
        for part in (self.servers, self.retriever, self.milvus, self.database):
            part.close()

    async def _probe_milvus(self) -> None:
        await asyncio.to_thread(self.milvus.call, "get_server_version", timeout_s=PROBE_TIMEOUT_S)

    async def _probe_model(self) -> None:
        (await self.model.get("/models")).raise_for_status()


def _model_client(settings: Settings) -> httpx.AsyncClient:
    secret = settings.llm_api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return httpx.AsyncClient(base_url=settings.llm_base_url, headers=headers, timeout=PROBE_TIMEOUT_S)


Gateway.add_asgi_middleware(Routes)  # type: ignore[attr-defined]  # mypy reads no class decorator
