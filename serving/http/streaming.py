"""A task as server-sent events: steps, tokens and citations as they come, usage, then one done or one error.

What fails before the first event keeps its HTTP status. Once the stream has begun, failure is an `error` event with
a problem document, never text that a client could take for an answer.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agents.answer import Event
from serving.contract.problems import problem_of
from serving.tasks.paid import RunningTask

# An error that shows at once (an unknown tenant, a refused connection) still gets its own HTTP status.
FIRST_EVENT_S = 1.0
# Proxies cut a silent connection after 30 to 60 s; a model on a CPU can be silent for longer.
KEEP_ALIVE_S = 15.0

Events = asyncio.Queue[Event | None]  # None: the task has ended


class TaskStream(StreamingResponse):
    """Sends a task's events as they come; `when_over` is called however the stream ends."""

    def __init__(self, lines: AsyncIterator[str], when_over: Callable[[], None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(lines, media_type="text/event-stream", headers=headers)
        self._when_over = when_over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:  # here, because a generator that was never begun runs no `finally`
            self._when_over()


async def open_stream(task: RunningTask, events: Events, stops_with_client: bool) -> TaskStream:
    """The task's stream, once it has begun to speak; raises what ended the task before that."""
    task.answer.add_done_callback(lambda _: events.put_nowait(None))
    begun: list[Event | None] = []
    with contextlib.suppress(TimeoutError):
        begun.append(await asyncio.wait_for(events.get(), FIRST_EVENT_S))
    if begun == [None]:
        task.answer.result()
    return TaskStream(_lines(task, begun, events), task.stop if stops_with_client else lambda: None)


def replay(answer: str) -> TaskStream:
    """The stream of an answer that was given before: its `done` alone."""

    async def lines() -> AsyncIterator[str]:
        yield _line("done", answer)

    return TaskStream(lines(), lambda: None)


async def _lines(task: RunningTask, begun: list[Event | None], events: Events) -> AsyncIterator[str]:
    while True:
        try:
            event = begun.pop() if begun else await asyncio.wait_for(events.get(), KEEP_ALIVE_S)
        except TimeoutError:
            yield ": keep-alive\n\n"
            continue
        if event is None:
            break
        yield _line(event.kind, json.dumps(event.data, default=str))
    try:
        answer = task.answer.result()
    except Exception as error:
        problem, _ = problem_of(error)
        yield _line("error", problem.model_dump_json(exclude_none=True))
    else:
        yield _line("done", answer.model_dump_json())


def _line(event: str, data: str) -> str:
    return f"event: {event}\ndata: {data}\n\n"
