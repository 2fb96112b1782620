"""Endpoints that answer a question, and that judge an answer."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from agents.answer import Answer
from lakehouse.access.ledger import Key
from serving.contract.bodies import AskBody, JudgeBody, Judgement
from serving.http.responses import PROBLEM, PROBLEM_RESPONSES, json_response
from serving.http.services import API_KEY, CallerKey, GatewayServices, Services
from serving.http.streaming import Events, open_stream, replay
from serving.tasks.paid import OVERRUN_S, RunningTask

CLIENT_LEFT = 499  # nobody reads this status; logs and metrics must not count it as our failure

IdempotencyKey = Annotated[
    str | None,
    Header(description="A retry with the same key and body gets the stored answer, for a day, without new cost."),
]
router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["questions"])


@router.post(
    "/ask",
    summary="Answer a question",
    responses={
        200: {"model": Answer},
        409: PROBLEM | {"description": "The first call with this Idempotency-Key still runs"},
    },
)
async def ask(
    request: Request,
    body: AskBody,
    key: CallerKey,
    services: GatewayServices,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer a question from the documents that the asker may read, with citations, steps and cost."""
    stored = await _claim(services, key, body, idempotency_key)
    if stored is not None:
        return json_response(stored, {"Idempotent-Replayed": "true"})
    task = services.tasks.start(key, body, idempotency_key=idempotency_key)
    if idempotency_key is None and await _client_left(request, task):
        task.stop()  # nobody would read the answer
        return Response(status_code=CLIENT_LEFT)
    return json_response((await asyncio.shield(task.answer)).model_dump_json())


@router.post(
    "/ask/stream",
    summary="Answer a question, hop by hop",
    response_class=Response,
    responses={
        200: {
            "description": "Events: step, token and citation as they happen, then usage, then done or error.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def ask_stream(
    body: AskBody, key: CallerKey, services: GatewayServices, idempotency_key: IdempotencyKey = None
) -> Response:
    """Answer as server-sent events; `done` holds the body of /ask. Leaving the stream stops the task."""
    stored = await _claim(services, key, body, idempotency_key)
    if stored is not None:
        return replay(stored)
    events: Events = asyncio.Queue()
    task = services.tasks.start(key, body, on_event=events.put_nowait, idempotency_key=idempotency_key)
    return await open_stream(task, events, stops_with_client=idempotency_key is None)


@router.post("/judge", summary="Judge an answer by its evidence")
async def judge(body: JudgeBody, key: CallerKey, services: GatewayServices) -> Judgement:
    """Have the model judge whether the evidence supports the answer: one call, under the key's cap."""
    answer = await services.tasks.judge(key, body)
    supported = answer.answer == "yes" if answer.status == "answered" else None
    return Judgement(supported=supported, reason=answer.reason, usage=answer.usage, task_id=answer.task_id)


async def _claim(services: Services, key: Key, body: AskBody, idempotency_key: str | None) -> str | None:
    """The answer stored under this Idempotency-Key; None: this request runs the task."""
    if idempotency_key is None:
        return None
    max_seconds = body.max_seconds or services.settings.task_max_seconds
    return await asyncio.to_thread(
        services.answers.claim, key.key_id, idempotency_key, body.identity(), max_seconds + 2 * OVERRUN_S
    )


async def _client_left(request: Request, task: RunningTask) -> bool:
    """Wait until the task has ended (False) or the client has disconnected (True)."""
    disconnect = asyncio.ensure_future(_disconnect(request))
    await asyncio.wait({disconnect, task.answer}, return_when=asyncio.FIRST_COMPLETED)
    disconnect.cancel()
    return not task.answer.done()


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
