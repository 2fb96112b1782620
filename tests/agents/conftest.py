"""Agents over a scripted model server: real HTTP, budget, prices, spool and group directory.

A stand-in for the index returns fixed passages, except in the tests that start a Milvus.
"""

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dspy
import numpy as np
import pytest

from agents.answer import Citation
from agents.llm.engine import TaskEngine, model_client
from agents.programs import PROGRAMS
from agents.runtime import Agents, Dependencies, load_program
from agents.task.budget import Budget, Limits
from agents.task.purpose import ask_model
from agents.task.task import Task, current_task
from lakehouse.access.permissions import Caller, acl_key
from lakehouse.costs.call_records import CallRecord, Spool, segment_lines
from lakehouse.costs.prices import Prices
from lakehouse.errors import InvalidInput
from lakehouse.index.layout import collection_name
from lakehouse.index.passages import Passage
from lakehouse.index.search_filters import SearchFilters
from lakehouse.index.versions import Version, save
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS
from tests.served import serve

CALLER = Caller("acme", ("eng",), app="wiki", key_id="key_1", user_id="ann")
ENG, HR = acl_key(["eng"]), acl_key(["hr"])
# Of one call at the prices of prices.toml: 400 fresh, 600 cached, 10 output tokens.
TOKENS = {"input_tokens": 1000, "cached_tokens": 600, "output_tokens": 10}
USD, SAVED_USD = Decimal("0.0000244200"), Decimal("0.0000199800")


def passage(name: str, text: str) -> Passage:
    return Passage(chunk_id=f"{name}#0", doc_id=name, title=name, heading="", text=text, uri=f"x:{name}", score=1.0)


FLASK = passage("Flask", "Flask has the license BSD-3-Clause.")
JINJA = passage("Jinja2", "Jinja2 was released in 2008.")
CLICK = passage("Click", "Click has 3 maintainers.")


# ---- the model's words --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """One reply of the model server; by default a good answer, streamed word by word, with its token counts."""

    text: str = "BSD-3-Clause"
    input_tokens: int = TOKENS["input_tokens"]
    cached_tokens: int = TOKENS["cached_tokens"]
    output_tokens: int = TOKENS["output_tokens"]
    delay_s: float = 0.0
    status: int = 200
    breaks: bool = False  # the connection breaks after the text, before the end
    silent: bool = False  # the connection stays open without a byte
    raw: bytes | None = None  # the whole body, in place of all other fields
    endless: bytes | None = None  # bytes to send again and again


BROKEN = Reply(text="", breaks=True)
SILENT = Reply(silent=True)


def event(**content: Any) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def piece(text: str) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": text}, "finish_reason": None}


class ModelServer:
    """An OpenAI-compatible server that sends scripted replies in order, and keeps the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.headers: list[str] = []
        self.keeps_waiting = asyncio.Event()  # a client waits for a silent reply
        self.hung_up = asyncio.Event()  # a client left in the middle of an answer
        self._replies: deque[Reply] = deque()
        self._script: Callable[[dict[str, Any]], Reply | None] = lambda body: None
        self._server: asyncio.Server | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    def says(self, *replies: str | Reply) -> None:
        """Queue replies, one per call."""
        self._replies.extend(Reply(reply) if isinstance(reply, str) else reply for reply in replies)

    def answers(self, script: Callable[[dict[str, Any]], Reply]) -> None:
        """Reply by `script` to each call for which no reply is queued."""
        self._script = script

    def always_says(self, reply: str | Reply) -> None:
        self.answers(lambda body: Reply(reply) if isinstance(reply, str) else reply)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = asyncio.current_task()
        assert conversation
        self._conversations.add(conversation)
        conversation.add_done_callback(self._conversations.discard)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lengths = [line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-len")]
                body = json.loads(await reader.readexactly(int(lengths[0])))
                self.headers.append(head)
                self.asked.append(body)
                reply = self._replies.popleft() if self._replies else self._script(body)
                await self._answer(reply or Reply("nothing was scripted", status=500), body, reader, writer)
        except asyncio.IncompleteReadError:
            pass
        except ConnectionError:
            self.hung_up.set()
        finally:
            writer.transport.abort()

    async def _answer(
        self, reply: Reply, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await asyncio.sleep(reply.delay_s)
        if reply.silent:
            self.keeps_waiting.set()
            await reader.read(1)
            raise ConnectionResetError
        if reply == BROKEN:
            raise asyncio.IncompleteReadError(b"", None)
        writer.write(f"HTTP/1.1 {reply.status} Scripted\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for data in self._body(reply, body):
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
        while reply.endless:
            writer.write(b"%x\r\n%b\r\n" % (len(reply.endless), reply.endless))
            await writer.drain()
            await asyncio.sleep(0)  # the client shares this event loop
        if reply.breaks:
            raise asyncio.IncompleteReadError(b"", None)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @staticmethod
    def _body(reply: Reply, body: dict[str, Any]) -> list[bytes]:
        if reply.raw is not None:
            return [reply.raw]
        if reply.status != 200:
            return [json.dumps({"error": {"message": reply.text}}).encode()]
        words = reply.text.split(" ") if reply.text else []
        usage = {"prompt_tokens": reply.input_tokens, "completion_tokens": 1}
        counted = {"usage": usage} if body["stream_options"].get("continuous_usage_stats") else {}
        pieces = [event(choices=[piece(word if i == 0 else f" {word}")], **counted) for i, word in enumerate(words)]
        if reply.breaks or reply.endless:
            return pieces
        details = {"cached_tokens": reply.cached_tokens}
        total = usage | {"completion_tokens": reply.output_tokens, "prompt_tokens_details": details}
        return [*pieces, event(choices=[], usage=total), b"data: [DONE]\n\n"]


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    server = ModelServer()
    await server.start()
    yield server
    await server.stop()


# ---- dependencies of the agents -------------------------------------------------------------------------------


@dataclass
class GivenPassages:
    """A stand-in for the index: returns its passages, and keeps the arguments of each search."""

    passages: Sequence[Passage] = (FLASK, JINJA, CLICK)
    error: Exception | None = None
    delay: threading.Event | None = None  # a search waits for it
    reached: threading.Event = field(default_factory=threading.Event)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def live_collection(self, tenant_id: str) -> str:
        return collection_name(tenant_id, 1)

    def check_names(self, tenant_id: str, collection: str) -> None:
        raise InvalidInput("mode='multihop': a stand-in has no names.")

    def search(self, tenant_id: str, allowed_keys: Sequence[str], **asked: Any) -> list[Passage]:
        assert asked.pop("collection") == self.live_collection(tenant_id)
        self.asked.append({"tenant_id": tenant_id, "allowed_keys": tuple(allowed_keys)} | asked)
        self.reached.set()
        if self.delay:
            self.delay.wait()
        if self.error:
            raise self.error
        return list(self.passages)[: asked["k"]]


@dataclass
class Names:
    """A stand-in for a retriever whose index knows names: returns passages with probabilities, and keeps the modes."""

    found: Sequence[Passage]
    searches: list[str] = field(default_factory=list)

    def best_mode(self, tenant_id: str) -> str:
        return "multihop"

    def search(
        self, tenant_id: str, groups: Sequence[str], query: str, *, k: int, mode: str, filters: SearchFilters | None
    ) -> list[Passage]:
        self.searches.append(mode)
        if mode == "multihop":
            return list(self.found)[:k]
        return [replace(passage, probability=None, path=()) for passage in self.found]

    def idf(self, tenant_id: str, terms: Sequence[str]) -> dict[str, float]:
        return {}

    def corrections(self, tenant_id: str, words: Sequence[str]) -> dict[str, str]:
        return {}


class OneAxis:
    """A stand-in for the embedding model: all texts have the same direction."""

    model_id, dimension = "one-axis", 4

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.eye(4, dtype=np.float32)[[0] * len(texts)]


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory):
    """With the group sets of two tenants, and the embedding model of their collections."""
    folder = str(tmp_path_factory.mktemp("warehouse"))
    sets = [("acme", ["eng"]), ("acme", ["hr"]), ("other", ["eng"]), ("other", ["hr"])]
    rows = [{"tenant_id": tenant, "acl_key": acl_key(names), "acl_groups": names} for tenant, names in sets]
    delta.upsert(Settings(warehouse=folder), ACL_KEYS, rows)
    for tenant in ("acme", "other"):
        collection = collection_name(tenant, 1)
        save(Settings(warehouse=folder), Version(tenant, collection, "one-axis", 4, datetime.now(UTC), state="live"))
    return folder


@pytest.fixture
def settings(tmp_path, model, warehouse):
    return Settings(home=tmp_path, warehouse=warehouse, llm_base_url=model.url, llm_timeout_s=10)


@pytest.fixture
def index():
    return GivenPassages()


@pytest.fixture
def spooled(tmp_path):
    """Reads the records on disk, in the order in which they were written."""

    def read() -> list[CallRecord]:
        segments = sorted((tmp_path / "spool" / "open").glob("*.jsonl"))
        return [CallRecord.from_json(line) for path in segments for line in segment_lines(path)]

    return read


@pytest.fixture
def deps(tmp_path, settings, index):
    return Dependencies(
        settings=settings,
        retriever=Retriever(settings, index, load=lambda model: OneAxis()),
        spool=Spool(tmp_path / "spool"),
        prices=Prices.from_file(settings.prices_file),
    )


@pytest.fixture
def new_task(deps):
    """Tasks of CALLER with large caps, unless a test gives others."""

    def new(max_usd=Decimal(1), max_seconds=30.0, on_event=None, caller=CALLER, deps=deps, journal=None, **more):
        budget = Budget(Limits(max_usd, max_seconds, **more))
        given = {"program": "read_each", "program_version": "v1", "budget": budget}
        return Task(deps, caller, on_event=on_event, journal=journal, **given)

    return new


# ---- agents with a program of the tests, independent of the real programs' tuning -----------------------


class SayFact(dspy.Signature):
    """Say the fact that answers the question."""

    passage: str = dspy.InputField()
    question: str = dspy.InputField()
    fact: str = dspy.OutputField()


class ReadEach(dspy.Module):
    """One search, then a model call for each of three passages; the last fact is the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.read = dspy.Predict(SayFact, agent="read")

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        for passage in await task.search(question, hop=1, k=3):
            said = await ask_model(self.read, hop=1, reading=[passage], passage=passage.text, question=question)
            citation = Citation(doc_id=passage.doc_id, chunk_id=passage.chunk_id, quote=said.fact)
            await task.propose(said.fact, [citation] if said.fact in passage.text else [])
        return dspy.Prediction(answer=task.best_answer)


@pytest.fixture
def programs(monkeypatch):
    monkeypatch.setitem(PROGRAMS, "read_each", ReadEach)
    load_program.cache_clear()
    yield
    load_program.cache_clear()


@pytest.fixture
async def agents(deps, programs):
    agents = Agents(deps)
    yield agents
    await agents.aclose()


@pytest.fixture
async def served(agents, settings):
    """The gateway over these agents."""
    served = serve(agents, settings, probes={})
    yield served
    await served.aclose()


_OF_ASK = ("program", "max_hops", "quorum", "on_event", "style", "history")


@pytest.fixture
def ask(agents):
    """Asks with large caps, unless a test gives others."""

    async def ask(question="Which license has Flask?", caller=CALLER, agents=agents, **given):
        options = {name: given.pop(name) for name in _OF_ASK if name in given}
        limits = Limits(**({"max_usd": Decimal(1), "max_seconds": 30.0} | given))
        return await agents.ask(question, caller, limits=limits, **({"program": "read_each", "max_hops": 3} | options))

    return ask


@pytest.fixture
async def agents_with(deps, programs):
    """Agents over other settings, e.g. a shorter timeout."""
    made = []

    def make(**changes):
        made.append(Agents(replace(deps, settings=deps.settings.model_copy(update=changes))))
        return made[-1]

    yield make
    for agents in made:
        await agents.aclose()


@pytest.fixture
async def engine_of(deps):
    """The engine of a task, with other settings where a test gives them."""
    clients = []

    def make(task, **changes):
        settings = deps.settings.model_copy(update=changes)
        clients.append(model_client(settings))
        return TaskEngine(task.context, clients[-1], settings)

    yield make
    for client in clients:
        await client.aclose()
