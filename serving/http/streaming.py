"""A task as server-sent events: steps, tokens and citations as they come, usage, then one done or one error.

What fails before the first event keeps its HTTP status. Once the stream has begun, a failure is an `error` event with
a problem document, never text that a client could take for an answer.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from agents.answer import Event
from lakehouse.settings import MAX_TASK_SECONDS
from serving.contract.problems import problem_of
from serving.tasks.paid import RunningTask

# An error within this time (an unknown tenant, a refused connection) still gets its own HTTP status.
FIRST_EVENT_S = 1.0
# Proxies cut a silent connection after 30 to 60 s; a model on a CPU can be silent for longer.
KEEP_ALIVE_S = 15.0

Events = asyncio.Queue[Event | None]  # None: the task has ended


class TaskStream(EventSourceResponse):
    """Sends a task's events as they come; calls `on_end` however the stream ends."""

    def __init__(self, events: AsyncIterator[ServerSentEvent], on_end: Callable[[], None]) -> None:
        super().__init__(
            events,
            sep="\n",
            ping=KEEP_ALIVE_S,
            ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep="\n"),
            # A gateway that stops ends its tasks after its own grace; sse-starlette would cut the stream at once.
            shutdown_grace_period=MAX_TASK_SECONDS,
        )
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # here, because a generator that never began runs no `finally`
            self._on_end()


async def open_stream(task: RunningTask, events: Events, stops_with_client: bool) -> TaskStream:
    """The task's stream, opened at its first event or after FIRST_EVENT_S; raises an error that came before."""
    task.answer.add_done_callback(lambda _: events.put_nowait(None))
    first: list[Event | None] = []
    with contextlib.suppress(TimeoutError):
        first.append(await asyncio.wait_for(events.get(), FIRST_EVENT_S))
    if first == [None]:
        task.answer.result()
    return TaskStream(_task_events(task, first, events), task.stop if stops_with_client else lambda: None)


def replay(answer: str) -> TaskStream:
    """The stream of a stored answer: its `done` event alone."""

    async def events() -> AsyncIterator[ServerSentEvent]:
        yield _event("done", answer)

    return TaskStream(events(), lambda: None)


async def _task_events(task: RunningTask, first: list[Event | None], events: Events) -> AsyncIterator[ServerSentEvent]:
    while event := first.pop() if first else await events.get():
        yield _event(event.kind, json.dumps(event.data, default=str))
    try:
        answer = task.answer.result()
    except Exception as error:
        problem, _ = problem_of(error)
        yield _event("error", problem.model_dump_json(exclude_none=True))
    else:
        yield _event("done", answer.model_dump_json())


def _event(name: str, data: str) -> ServerSentEvent:
    return ServerSentEvent(data, event=name, sep="\n")
