"""The one door to the model: DSPy's engine for any OpenAI-compatible endpoint, with budget and call record inside.

DSPy hands every model call of every program to `complete`. It asks the budget before the call, and returns the text
after the record is on disk; a failed attempt has a record of its own. The server streams its answer, so that a call
that is stopped in the middle has a known cost. LiteLLM would take 5.6 ms a call where httpx takes 1.4.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import zip_longest
from typing import Any, NoReturn

import httpx
from dspy.lm15 import ContextLengthError, Message, Request, Response
from dspy.lm15 import Usage as ModelUsage
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt

from agents.llm.token_counts import prompt_bytes, token_counter
from agents.task.actions import Action, Attempt, Done
from agents.task.budget import BudgetReached
from agents.task.context import TaskContext
from agents.task.purpose import CallPurpose, call_purpose
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings

ATTEMPTS = 2  # a broken connection is worth a second; a refusal is final
CONNECT_TIMEOUT_S = 5.0
MAX_OUTPUT_TOKENS = 512  # of a call that states no limit
MAX_LINE_BYTES = 1_000_000  # a server that sends a longer line does not speak this protocol
CHARACTERS_A_TOKEN = 32  # more than any token has: the cut for a server that ignores max_tokens


def model_client(settings: Settings) -> httpx.AsyncClient:
    """The connections to the model server; one per process and event loop. The caller closes it."""
    key = settings.llm_api_key.get_secret_value()
    return httpx.AsyncClient(
        base_url=settings.llm_base_url,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=httpx.Timeout(settings.llm_timeout_s, connect=min(CONNECT_TIMEOUT_S, settings.llm_timeout_s)),
    )


class ConnectionBroke(Unavailable):
    """The connection to the model server failed or ended early: another attempt may succeed."""


class NoSyncEngine:
    """Stands where DSPy wants a synchronous engine: programs run on an event loop only."""

    def complete(self, request: Request) -> NoReturn:
        raise RuntimeError("programs are asynchronous: await program.acall(…)")


class TaskEngine:
    """DSPy's asynchronous engine for one task."""

    def __init__(self, context: TaskContext, client: httpx.AsyncClient, settings: Settings) -> None:
        self._context = context
        self._client = client
        self._url = client.base_url.join("chat/completions")  # here, or httpx would join them at each call
        self._settings = settings

    async def complete(self, request: Request) -> Response:
        """Ask the model. Raises BudgetReached before the call, Unavailable when the server does not answer.

        A prompt that the model cannot hold is DSPy's ContextLengthError: its author can shorten it.
        """
        body, purpose = _chat_body(request, self._settings.llm_dialect), call_purpose.get()
        step = (await self._retried(body, purpose)).step
        text = step.output or ""
        self._context.loops.note(f"{purpose.agent} answering", json.dumps(body["messages"]), text)
        usage = ModelUsage(input_tokens=step.input_tokens, output_tokens=step.output_tokens)
        # DSPy refuses a message without text; the adapter reads a blank as an empty answer.
        message = Message.assistant(text or " ")
        # Always "stop": a fact cut off at its limit is used as it is, and DSPy would warn of each.
        return Response(id=None, model=request.model, message=message, finish_reason="stop", usage=usage)

    async def _retried(self, body: dict[str, Any], purpose: CallPurpose) -> Done:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS), retry=retry_if_exception_type(ConnectionBroke), reraise=True
        )
        async for attempt in retrying:
            with attempt:
                done = await self._hedged(body, purpose, attempt.retry_state.attempt_number)
                if done.failure:
                    raise done.failure
        return done

    async def _hedged(self, body: dict[str, Any], purpose: CallPurpose, number: int) -> Done:
        """One call, or two where the first takes too long. Books their cost, however they end."""
        budget, hedging = self._context.budget, self._context.deps.hedging
        most_input = prompt_bytes(body["messages"])
        worst_usd = self._context.worst_usd(most_input, body["max_tokens"])
        worst_tokens = most_input + body["max_tokens"]
        holds = [budget.allow_call(worst_usd, worst_tokens)]
        attempts = [self._attempt(body, purpose, number)]

        def second() -> Attempt | None:
            if not hedging.take_second_call():
                return None
            try:
                holds.append(budget.allow_call(worst_usd, worst_tokens))
            except BudgetReached:
                return None
            attempts.append(self._attempt(body, purpose, number))
            return attempts[-1]

        try:
            all_done = await self._context.recorder.act_hedged(attempts[0], hedging.patience_s(purpose.agent), second)
        except BaseException:  # cancelled, or a record could not be written: the cost is known all the same
            for hold, attempt in zip(holds, attempts, strict=True):
                action = attempt.action
                budget.settle(hold, action.usd, action.input_tokens + action.output_tokens)
            raise
        for hold, done in zip_longest(holds, all_done):
            budget.settle(hold, done.step.usd, done.step.input_tokens + done.step.output_tokens)
        if not done.failure:
            hedging.observe(purpose.agent, done.step.latency_ms / 1000)
        return done

    def _attempt(self, body: dict[str, Any], purpose: CallPurpose, number: int) -> Attempt:
        action = Action("chat", purpose.agent, purpose.hop, attempt=number, output="", reading=purpose.passages)

        async def work() -> None:
            left_s = self._context.budget.seconds_left()
            limit_s = min(left_s, self._settings.llm_timeout_s)
            try:
                async with asyncio.timeout(limit_s):
                    await self._stream(body, action)
            except TimeoutError:
                if limit_s == left_s:
                    raise BudgetReached("max_seconds was used up while the model wrote") from None
                raise Unavailable("vllm", self._down(f"no end within {limit_s:.1f} s")) from None
            except httpx.TransportError as error:
                raise ConnectionBroke("vllm", self._down(f"{type(error).__name__} {error}")) from error

        return Attempt(action, work)

    async def _stream(self, body: dict[str, Any], action: Action) -> None:
        async with self._client.stream("POST", self._url, json=body) as response:
            if response.status_code != httpx.codes.OK:
                reason = await _excerpt(response)
                if response.status_code == httpx.codes.BAD_REQUEST and "context length" in reason:
                    raise ContextLengthError(reason)
                raise Unavailable("vllm", self._down(f"HTTP {response.status_code}: {reason}"))
            pieces = 0
            try:
                async for event in _events(response):
                    if text := _add(event, action):
                        pieces += 1
                        token = {"agent": action.agent, "hop": action.hop, "text": text}
                        await self._context.recorder.emit("token", token)
                    if len(action.output or "") > body["max_tokens"] * CHARACTERS_A_TOKEN:
                        return
            finally:  # the stream may be cut off before the usage at its end
                self._count_missing(body, action, pieces)

    def _count_missing(self, body: dict[str, Any], action: Action, pieces: int) -> None:
        """Count the tokens that the server did not: a call that was answered is never free."""
        counter = token_counter(self._settings.llm_model)
        action.usage_source = "server"
        if not action.input_tokens:
            action.input_tokens, action.usage_source = counter.of_prompt(body["messages"]), counter.source
        if action.output and not action.output_tokens:
            action.output_tokens = counter.of_output(action.output, pieces, body["max_tokens"])
            action.usage_source = counter.source

    def _down(self, reason: str) -> str:
        return (
            f"the model server at {self._settings.llm_base_url!r} did not answer: {reason}. "
            "See `lakehop status`, and the log of vllm under the home folder."
        )


def _add(event: dict[str, Any], action: Action) -> str:
    """Add an event's text and tokens to the action, and return the text. Raises Unavailable for another shape."""
    try:
        if usage := event.get("usage"):
            _count(usage, action)
        text = "".join((choice.get("delta") or {}).get("content") or "" for choice in event.get("choices") or ())
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise Unavailable("vllm", f"the model server sent {str(event)[:200]!r} in place of an answer.") from None
    action.output = (action.output or "") + text
    return text


def _count(usage: dict[str, Any], action: Action) -> None:
    """Take over the newest counts; servers send them with every piece or once at the end."""
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
    """The JSON of each server-sent event. Raises Unavailable for anything else.

    Not by httpx-sse, which reads a line without end into memory, and takes 1.1 to 1.2 times as long for 2,000 events.
    """
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
