"""The one door to the model: DSPy's engine for any OpenAI-compatible endpoint, with budget and call record inside.

DSPy hands every model call of every program to `complete`. The budget is asked before; the record is on disk
before the text is returned; a failed attempt leaves a record of its own. Answers are streamed from the server, so
that a stop in the middle knows what it cost. LiteLLM would take 5.6 ms a call where httpx takes 1.4.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import zip_longest
from typing import Any, NoReturn

import httpx
from dspy.lm15 import ContextLengthError, Message, Request, Response
from dspy.lm15 import Usage as ModelUsage

from agents.task.budget import BudgetReached
from agents.task.purpose import CallPurpose, call_purpose
from agents.task.recorder import Action, Attempt, Done
from agents.task.task import Task
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings

ATTEMPTS = 2  # a connection that broke is worth one more; a server that refused is not
CONNECT_TIMEOUT_S = 5.0
MAX_OUTPUT_TOKENS = 512  # of a call that states no limit
MAX_LINE_BYTES = 1_000_000  # a server that sends a longer one is not speaking this protocol
CHARACTERS_A_TOKEN = 32  # more than any token has: a server that ignores max_tokens is cut off here
PROMPT_OVERHEAD_BYTES = 64  # of the chat template, for each message


def model_client(settings: Settings) -> httpx.AsyncClient:
    """The connections to the model server; one a process and event loop. The caller closes it."""
    key = settings.llm_api_key.get_secret_value()
    return httpx.AsyncClient(
        base_url=settings.llm_base_url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(settings.llm_timeout_s, connect=min(CONNECT_TIMEOUT_S, settings.llm_timeout_s)),
    )


class ConnectionBroke(Unavailable):
    """The connection to the model server failed or ended early: another attempt may come off."""


class NoSyncEngine:
    """Stands where DSPy wants a synchronous engine: programs run on an event loop only."""

    def complete(self, request: Request) -> NoReturn:
        raise RuntimeError("programs are asynchronous: await program.acall(…)")


class TaskEngine:
    """DSPy's asynchronous engine for one task."""

    def __init__(self, task: Task, client: httpx.AsyncClient, settings: Settings) -> None:
        self._task = task
        self._client = client
        self._url = client.base_url.join("chat/completions")  # worked out here, or httpx would at each call
        self._settings = settings

    async def complete(self, request: Request) -> Response:
        """Ask the model. Raises BudgetReached before the call, Unavailable when the server does not answer.

        A prompt that the model cannot hold is DSPy's ContextLengthError: who wrote it can shorten it.
        """
        body, purpose = _chat_body(request, self._settings.llm_dialect), call_purpose.get()
        prompt_bytes = sum(len(m["content"].encode()) + PROMPT_OVERHEAD_BYTES for m in body["messages"])
        for attempt in range(1, ATTEMPTS + 1):
            done = await self._attempt(body, purpose, attempt, prompt_bytes)
            if not done.failure:
                break
            if attempt == ATTEMPTS or not isinstance(done.failure, ConnectionBroke):
                raise done.failure
        said, text = done.step, done.step.output or ""
        self._task.loops.note(f"{purpose.agent} answering", json.dumps(body["messages"]), text)
        usage = ModelUsage(input_tokens=said.input_tokens, output_tokens=said.output_tokens)
        # DSPy refuses a message without text; the adapter reads a blank as an empty answer.
        message = Message.assistant(text or " ")
        # "stop" whatever it was: a fact cut off at its limit is used as it is, and DSPy would warn of each.
        return Response(id=None, model=request.model, message=message, finish_reason="stop", usage=usage)

    async def _attempt(self, body: dict[str, Any], purpose: CallPurpose, attempt: int, prompt_bytes: int) -> Done:
        """One try, or two where the first straggles; with their records, however they end."""
        budget, stragglers = self._task.budget, self._task.stragglers
        worst_usd = self._task.worst_usd(prompt_bytes, body["max_tokens"])
        worst_tokens = prompt_bytes + body["max_tokens"]
        holds = [budget.allow_call(worst_usd, worst_tokens)]
        first = self._call(body, purpose, attempt)
        made = [first]

        def again() -> Attempt | None:
            if not stragglers.may_repeat():
                return None
            try:
                holds.append(budget.allow_call(worst_usd, worst_tokens))
            except BudgetReached:
                return None
            made.append(self._call(body, purpose, attempt))
            return made[-1]

        try:
            all_done = await self._task.recorder.act_in_time(first, stragglers.patience_s(purpose.agent), again)
        except BaseException:  # cancelled, or its record could not be written: what it cost is known all the same
            for hold, one in zip(holds, made, strict=True):
                budget.settle(hold, one.action.usd, one.action.input_tokens + one.action.output_tokens)
            raise
        for hold, done in zip_longest(holds, all_done):
            budget.settle(hold, done.step.usd, done.step.input_tokens + done.step.output_tokens)
        if not done.failure:
            stragglers.ended(purpose.agent, done.step.latency_ms / 1000)
        return done

    def _call(self, body: dict[str, Any], purpose: CallPurpose, attempt: int) -> Attempt:
        action = Action("chat", purpose.agent, purpose.hop, attempt=attempt, output="", read=purpose.passages)

        async def call() -> None:
            left = self._task.budget.seconds_left()
            limit = min(left, self._settings.llm_timeout_s)
            try:
                async with asyncio.timeout(limit):
                    await self._stream(body, action)
            except TimeoutError:
                if limit == left:
                    raise BudgetReached("max_seconds was used up while the model wrote") from None
                raise Unavailable("vllm", self._down(f"no end within {limit:.1f} s")) from None
            except httpx.TransportError as error:
                raise ConnectionBroke("vllm", self._down(f"{type(error).__name__} {error}")) from error

        return Attempt(action, call)

    async def _stream(self, body: dict[str, Any], action: Action) -> None:
        async with self._client.stream("POST", self._url, json=body) as response:
            if response.status_code != httpx.codes.OK:
                said_why = await _excerpt(response)
                if response.status_code == httpx.codes.BAD_REQUEST and "context length" in said_why:
                    raise ContextLengthError(said_why)
                raise Unavailable("vllm", self._down(f"HTTP {response.status_code}: {said_why}"))
            async for event in _events(response):
                if text := _take(event, action):
                    await self._task.recorder.emit("token", {"agent": action.agent, "hop": action.hop, "text": text})
                if len(action.output or "") > body["max_tokens"] * CHARACTERS_A_TOKEN:
                    return

    def _down(self, what: str) -> str:
        return (
            f"the model server at {self._settings.llm_base_url!r} did not answer: {what}. "
            "See `lakehop status`, and the log of vllm under the home folder."
        )


def _take(event: dict[str, Any], action: Action) -> str:
    """Add what an event of the server brings, and return its text. Raises Unavailable for one of another shape."""
    try:
        if usage := event.get("usage"):
            _count(usage, action)
        text = "".join((choice.get("delta") or {}).get("content") or "" for choice in event.get("choices") or ())
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise Unavailable("vllm", f"the model server sent {str(event)[:200]!r} in place of an answer.") from None
    action.output = (action.output or "") + text
    return text


def _count(usage: dict[str, Any], action: Action) -> None:
    """Keep the newest count; servers send it with every piece or once at the end."""
    action.input_tokens = max(0, int(usage.get("prompt_tokens") or 0))
    action.output_tokens = max(0, int(usage.get("completion_tokens") or 0))
    details = usage.get("prompt_tokens_details") or {}
    cached_tokens = max(action.cached_tokens, int(details.get("cached_tokens") or 0))
    action.cached_tokens = min(action.input_tokens, cached_tokens)


def _chat_body(request: Request, dialect: str) -> dict[str, Any]:
    structured_outputs = (request.config.extensions or {}).get("structured_outputs")
    system = request.system if isinstance(request.system, str) else "".join(p.text for p in request.system or ())
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": message.role, "content": message.text or ""} for message in request.messages]
    body: dict[str, Any] = {
        "model": request.model,
        "messages": messages,
        "max_tokens": request.config.max_tokens or MAX_OUTPUT_TOKENS,
        "temperature": request.config.temperature or 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if dialect == "vllm":
        body["stream_options"]["continuous_usage_stats"] = True
        if structured_outputs:
            body["structured_outputs"] = structured_outputs
    return body


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each server-sent event. Raises Unavailable for what is none."""
    pending = b""
    async for piece in response.aiter_bytes():
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if not line.startswith(b"data:") or data == b"[DONE]":
                continue
            try:
                event = json.loads(data)
            except ValueError:
                event = None
            if not isinstance(event, dict) or "error" in event:
                raise Unavailable("vllm", f"the model server sent {data[:200]!r} in place of an answer.")
            yield event
        if len(pending) > MAX_LINE_BYTES:
            raise Unavailable("vllm", f"the model server sent a line of over {MAX_LINE_BYTES} bytes.")


async def _excerpt(response: httpx.Response) -> str:
    """The beginning of an error's body, in one line."""
    start = b""
    async for piece in response.aiter_bytes():
        start += piece
        if len(start) > 2_000:
            break
    return " ".join(start[:300].decode(errors="replace").split())
