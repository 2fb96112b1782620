"""The gateway's HTTP routes: each authenticates, calls one function, returns.

They are a FastAPI app and not BentoML endpoints, because BentoML 1.4 serves an endpoint by POST only, answers a bad
body in its own words, and replaces the text of a 401 or 403: no room for problem documents, GET /usage, or a stream
whose early failures have a status. BentoML carries this app (see `serving.gateway`).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from agents.answer import Answer
from lakehouse.access.ledger import Key, Ledger, next_day
from lakehouse.errors import LakehopError
from lakehouse.settings import Settings
from lakehouse.state.memory import Memories, Owner
from serving.contract.access import authenticate, caller_of, require_operator
from serving.contract.bodies import (
    AskBody,
    ForgottenEntries,
    FoundPassage,
    JudgeBody,
    Judgement,
    MemoryEntry,
    MemoryList,
    NoteBody,
    RewriteBody,
    SearchAnswer,
    SearchBody,
    UsageToday,
)
from serving.contract.metrics import CONTENT_TYPE, HttpTraffic, Metrics
from serving.contract.problems import Problem, UnknownErrors, respond
from serving.http.body_limit import BodyLimit
from serving.http.pages import CONSOLE, SWAGGER, Assets, pages
from serving.http.readiness import Probe, check_ready
from serving.http.streaming import Events, open_stream, replay
from serving.tasks.durable import DurableTasks, TaskView
from serving.tasks.idempotency import StoredAnswers
from serving.tasks.paid import OVERRUN_S, RunningTask, Tasks

if TYPE_CHECKING:  # see serving.gateway: its supervisor process stays light
    from agents.runtime import Agents

CLIENT_LEFT = 499  # nobody reads it; in logs and metrics it is not a failure of ours


@dataclass(frozen=True)
class Services:
    """What the routes stand on; built once, when the gateway starts."""

    settings: Settings
    agents: "Agents"
    ledger: Ledger
    answers: StoredAnswers
    memories: Memories
    tasks: Tasks
    durable: DurableTasks
    metrics: Metrics
    probes: Mapping[str, Probe]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


With = Annotated[Services, Depends(_services)]


async def _key(request: Request, services: With) -> Key:
    # In a thread: the ledger's lock may be held for the length of another request's fsync.
    return await asyncio.to_thread(authenticate, services.ledger, request.headers.get("authorization"))


CallerKey = Annotated[Key, Depends(_key)]
IdempotencyKey = Annotated[
    str | None, Header(description="A retry under the same key and body gets the stored answer, for a day, unpaid.")
]
_bearer = HTTPBearer(auto_error=False, description="An API key, `lh_…`; `lakehop keys create` makes one.")
# FastAPI's own 422 is never sent; `default` takes its place in the document.
_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_problems: dict[int | str, dict[str, Any]] = {
    status: _PROBLEM | {"description": HTTPStatus(status).phrase} for status in (400, 401, 402, 403, 404, 500, 501, 503)
} | {"default": {"model": Problem, "description": "Any other failure"}}
questions = APIRouter(dependencies=[Depends(_bearer)], responses=_problems, tags=["questions"])
memory = APIRouter(dependencies=[Depends(_bearer)], responses=_problems, tags=["memory"])
operations = APIRouter(tags=["operations"])
User = Annotated[str, Query(min_length=1, max_length=256, description="Whose memory, as the app knows them.")]
Tenant = Annotated[str | None, Query(description="For operator keys: on whose behalf.")]
Groups = Annotated[list[str] | None, Query(max_length=1_000, description="Groups of the user; left out: the key's.")]


@questions.post(
    "/ask",
    summary="Answer a question",
    responses={200: {"model": Answer}, 409: _PROBLEM | {"description": "Its first call still runs"}},
)
async def ask(
    request: Request, body: AskBody, key: CallerKey, services: With, idempotency_key: IdempotencyKey = None
) -> Response:
    """Answer a question from the documents that the asker may read, with citations, steps and cost."""
    stored = await _claim(services, key, body, idempotency_key)
    if stored is not None:
        return _json(stored, {"Idempotent-Replayed": "true"})
    task = services.tasks.start(key, body, idempotency_key=idempotency_key)
    if idempotency_key is None and await _client_left(request, task):
        task.stop()  # nobody would read what it costs
        return Response(status_code=CLIENT_LEFT)
    return _json((await asyncio.shield(task.answer)).model_dump_json())


@questions.post(
    "/ask/stream",
    summary="Answer a question, hop by hop",
    response_class=Response,
    responses={
        200: {
            "description": "Events: step, token and citation as they come, usage; then done or error.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def ask_stream(body: AskBody, key: CallerKey, services: With, idempotency_key: IdempotencyKey = None) -> Response:
    """The same as server-sent events; `done` carries what /ask answers. Leaving the stream stops the task."""
    stored = await _claim(services, key, body, idempotency_key)
    if stored is not None:
        return replay(stored)
    events: Events = asyncio.Queue()
    task = services.tasks.start(key, body, on_event=events.put_nowait, idempotency_key=idempotency_key)
    return await open_stream(task, events, stops_with_client=idempotency_key is None)


@questions.post("/tasks", summary="Hand in a question", status_code=202)
async def submit_task(
    body: AskBody,
    key: CallerKey,
    services: With,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(description="A retry under the same key and body finds the same task, for a day.")
    ] = None,
) -> TaskView:
    """Hand in a question that is answered whether the client stays or not, and though the gateway be killed."""
    task = await services.durable.submit(key, body, idempotency_key)
    response.headers["Location"] = f"/tasks/{task.task_id}"
    return task


@questions.get("/tasks/{task_id}", summary="What became of it")
async def get_task(task_id: str, key: CallerKey, services: With) -> TaskView:
    """A task that was handed in: what it has done so far, and its answer once there is one."""
    return await services.durable.get(key, task_id)


@questions.post("/tasks/{task_id}/cancel", summary="Stop it")
async def cancel_task(task_id: str, key: CallerKey, services: With) -> TaskView:
    """Stop a task within about a second; what it has spent stays spent. One that has ended stays as it is."""
    return await services.durable.cancel(key, task_id)


@questions.post("/search", summary="Find passages")
async def search(body: SearchBody, key: CallerKey, services: With) -> SearchAnswer:
    """Find the passages that the asker may read, best first. Costs no model call, unless a model is the reranker."""
    found = await services.tasks.search(key, body)
    results = [FoundPassage.model_validate(passage, from_attributes=True) for passage in found.results]
    return SearchAnswer(results=results, took_ms=found.took_ms, task_id=found.task_id, usage=found.usage)


@questions.post("/judge", summary="Judge an answer by its evidence")
async def judge(body: JudgeBody, key: CallerKey, services: With) -> Judgement:
    """Have the model say whether the evidence says what the answer claims: one call, under the key's cap."""
    said = await services.tasks.judge(key, body)
    supported = said.answer == "yes" if said.status == "answered" else None
    return Judgement(supported=supported, reason=said.reason, usage=said.usage, task_id=said.task_id)


@questions.get("/usage", summary="This key's money today")
async def usage(key: CallerKey, services: With) -> UsageToday:
    """What the key has spent today (UTC), and its cap."""
    spend = await asyncio.to_thread(services.ledger.today, key.key_id)
    return UsageToday(
        key_id=key.key_id,
        app=key.app,
        tenant=key.tenant_id,
        groups=list(key.groups),
        day=spend.day,
        spent_usd=f"{spend.spent_usd:f}",
        reserved_usd=f"{spend.reserved_usd:f}",
        daily_usd=None if spend.daily_usd is None else f"{spend.daily_usd:f}",
        resets_at=next_day(datetime.now(UTC)).isoformat(),
    )


@memory.get("/memory", summary="What is remembered for a user")
async def list_memory(
    key: CallerKey, services: With, user: User, tenant: Tenant = None, groups: Groups = None
) -> MemoryList:
    """What is remembered for a user of this app and may be read now, newest first."""
    caller = caller_of(key, tenant, groups, user)
    found = await asyncio.to_thread(services.memories.entries, Owner.of(caller), caller.groups)
    return MemoryList(entries=[MemoryEntry.model_validate(entry, from_attributes=True) for entry in found])


@memory.post("/memory", summary="Remember something", status_code=201)
async def remember(body: NoteBody, key: CallerKey, services: With) -> MemoryEntry:
    """Remember the user's own words; every gateway knows them when this returns."""
    owner = Owner.of(caller_of(key, body.tenant, None, body.user))
    entry = await asyncio.to_thread(services.memories.note, owner, body.text)
    return MemoryEntry.model_validate(entry, from_attributes=True)


@memory.put(
    "/memory/{memory_id}", summary="Write it anew", responses={409: _PROBLEM | {"description": "It was written since"}}
)
async def rewrite(memory_id: str, body: RewriteBody, key: CallerKey, services: With) -> MemoryEntry:
    """Put other words in place of a note; refused where somebody did since `read_version` was read."""
    owner = Owner.of(caller_of(key, body.tenant, None, body.user))
    entry = await asyncio.to_thread(services.memories.rewrite, owner, memory_id, body.text, body.read_version)
    return MemoryEntry.model_validate(entry, from_attributes=True)


@memory.delete("/memory/{memory_id}", summary="Forget one thing")
async def forget_one(
    memory_id: str, key: CallerKey, services: With, user: User, tenant: Tenant = None
) -> ForgottenEntries:
    """Forget an entry for good: its row, the files that held it, and then all that is left is read for it."""
    owner = Owner.of(caller_of(key, tenant, None, user))
    done = await asyncio.to_thread(services.memories.forget, owner, memory_id)
    return ForgottenEntries.model_validate(done, from_attributes=True)


@memory.delete("/memory", summary="Forget a user")
async def forget_all(key: CallerKey, services: With, user: User, tenant: Tenant = None) -> ForgottenEntries:
    """Forget all that this app has remembered for a user, in the same way."""
    owner = Owner.of(caller_of(key, tenant, None, user))
    done = await asyncio.to_thread(services.memories.forget, owner)
    return ForgottenEntries.model_validate(done, from_attributes=True)


@operations.get("/healthz", summary="Is the process alive?", response_class=Response)
async def healthz() -> Response:
    """200 while the process answers at all; needs no key."""
    return Response("ok\n", media_type="text/plain")


@operations.get(
    "/readyz",
    summary="Can it answer?",
    response_class=Response,
    responses={503: _PROBLEM | {"description": "A part does not answer"}},
)
async def readyz(services: With) -> Response:
    """200 when Milvus and the model endpoint answer; else 503 naming what does not. Needs no key."""
    await check_ready(services.probes)
    return Response("ready\n", media_type="text/plain")


@operations.get("/metrics", summary="Prometheus metrics", response_class=Response, dependencies=[Depends(_bearer)])
async def metrics(key: CallerKey, services: With) -> Response:
    """Prometheus metrics of the whole gateway; for operator keys."""
    require_operator(key, "/metrics")
    return Response(services.metrics.page(), media_type=CONTENT_TYPE)


def create_api() -> FastAPI:
    """The app without its services; `app.state.services` is set once they are built."""
    api = FastAPI(
        title="Lakehop",
        description="Cited multi-hop answers from your documents, and what each cost.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    api.include_router(questions)
    api.include_router(memory)
    api.include_router(operations)
    api.include_router(pages)
    api.mount("/console", Assets(directory=CONSOLE))
    api.mount("/swagger", Assets(directory=SWAGGER))
    for kind in (LakehopError, RequestValidationError, HTTPException):
        api.add_exception_handler(kind, respond)
    api.state.metrics = Metrics()
    api.add_middleware(BodyLimit)  # innermost
    api.add_middleware(UnknownErrors)
    api.add_middleware(HttpTraffic, metrics=api.state.metrics)
    return api


async def _claim(services: Services, key: Key, body: AskBody, idempotency_key: str | None) -> str | None:
    """The answer kept under this Idempotency-Key; None: the task is ours to run."""
    if idempotency_key is None:
        return None
    max_seconds = body.max_seconds or services.settings.task_max_seconds
    return await asyncio.to_thread(
        services.answers.claim, key.key_id, idempotency_key, body.model_dump_json(), max_seconds + 2 * OVERRUN_S
    )


async def _client_left(request: Request, task: RunningTask) -> bool:
    """Wait until the task has ended (False), or its client has hung up before (True)."""
    gone = asyncio.ensure_future(_disconnect(request))
    await asyncio.wait({gone, task.answer}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    return not task.answer.done()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(document: str, headers: dict[str, str] | None = None) -> Response:
    return Response(document, media_type="application/json", headers=headers)
