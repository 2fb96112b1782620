"""A gateway in this process: the real routes, ledger and stores over agents whose words are scripted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agents.answer import Answer, Event, OnEvent, Usage
from lakehouse.access.permissions import Caller
from lakehouse.settings import Settings
from tests.served import Served, serve

STEP = {
    "kind": "search",
    "agent": "search",
    "hop": 1,
    "sub_task": None,
    "started_at": "2026-11-03T12:00:00.123456Z",
    "attempt": 1,
    "query": "Flask templates",
    "output": None,
    "passages": [{"doc_id": "jinja2", "chunk_id": "c1", "title": "Jinja2"}],
    "input_tokens": 0,
    "cached_tokens": 0,
    "output_tokens": 0,
    "usage_source": None,
    "usd": "0.0000000000",
    "latency_ms": 12.5,
    "error": None,
}
CHAT = STEP | {
    "kind": "chat",
    "agent": "read",
    "query": None,
    "output": "BSD",
    "passages": [],
    "usage_source": "server",
    "usd": "0.0100000000",
}
CITATION = {
    "doc_id": "jinja2",
    "chunk_id": "c1",
    "quote": "BSD-3-Clause",
    "title": "Jinja2",
    "heading": "Project › License",
    "uri": "pypi:jinja2",
}
USAGE = {"calls": 2, "input_tokens": 900, "cached_tokens": 300, "output_tokens": 20, "usd": "0.0200000000"}
ANSWER = {
    "answer": "BSD-3-Clause",
    "status": "answered",
    "reason": None,
    "form": "fact",
    "question": None,
    "citations": [CITATION],
    "statements": [],
    "dropped": [],
    "nearest": [],
    "documents_read": None,
    "documents_left": None,
    "uncited": [],
    "steps": [STEP, CHAT, CHAT],
    "usage": USAGE,
    "latency_s": 0.5,
    "task_id": "task_1",
    "memory_id": None,
}
EVENTS = [("step", STEP), ("step", CHAT), ("step", CHAT), ("citation", CITATION), ("usage", USAGE)]
PASSAGE = {
    "chunk_id": "c1",
    "doc_id": "jinja2",
    "title": "Jinja2",
    "score": 0.75,
    "text": "Jinja2 is a template engine.",
    "uri": "pypi:jinja2",
    "source": "pypi",
    "document_type": "md",
    "author": "Armin Ronacher",
    "updated_at": "2026-11-03T12:00:00Z",
    "more": [{"chunk_id": "c2", "score": 0.5, "text": "It renders text."}],
}


@dataclass
class Found:
    """What `Agents.search` returns, as far as the gateway reads it."""

    results: list[Any]
    took_ms: float
    task_id: str
    usage: Usage = field(default_factory=Usage)
    next_page_token: str | None = "page2"


@dataclass
class ScriptedAgents:
    """Stands for the agents, which have their own tests: emits its events, then raises its error or answers."""

    events: list[Event] = field(default_factory=lambda: [Event(kind, data) for kind, data in EVENTS])
    error: Exception | None = None
    gate: asyncio.Event | None = None  # once the events are out, wait for it
    told: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[dict[str, Any]] = field(default_factory=list)
    cancelled: int = 0

    async def ask(self, question: str, caller: Caller, *, on_event: OnEvent | None = None, **more: Any) -> Answer:
        self.asked.append({"question": question, "caller": caller} | more)
        for event in self.events:
            if on_event and (told := on_event(event)):
                await told
        self.told.set()
        if self.gate:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if self.error:
            raise self.error
        return Answer.model_validate(ANSWER)

    async def search(self, question: str, caller: Caller, **more: Any) -> Found:
        self.asked.append({"question": question, "caller": caller} | more)
        if self.error:
            raise self.error
        return Found([type("Passage", (), PASSAGE)()], 3.5, "task_2")


class Parts:
    """Which of the parts that /readyz asks are down."""

    def __init__(self) -> None:
        self.down: set[str] = set()

    def probe(self, part: str) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            if part in self.down:
                raise ConnectionRefusedError(part)

        return ask


@dataclass(kw_only=True)
class Gateway(Served):
    """The app under test, and what stands for others in it."""

    agents: ScriptedAgents
    parts: Parts
    groups: tuple[str, ...] = ("staff",)

    def key_id(self) -> str:
        """Id of the only key."""
        (key,) = self.ledger.list_keys()
        return key.key_id


@pytest.fixture
def database_url() -> str:
    """The default database. The tests of tasks run on Postgres too; see tests/serving/tasks/conftest.py."""
    return ""


@pytest.fixture
async def gateway(tmp_path: Path, database_url: str) -> AsyncIterator[Gateway]:
    agents, parts = ScriptedAgents(), Parts()
    probes = {"milvus": parts.probe("milvus"), "vllm": parts.probe("vllm")}
    served = serve(agents, Settings(home=tmp_path, database_url=database_url), probes)  # type: ignore[arg-type]
    yield Gateway(
        api=served.api,
        http=served.http,
        services=served.services,
        database=served.database,
        agents=agents,
        parts=parts,
    )
    await served.aclose()
