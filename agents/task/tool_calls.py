"""Calls the tools of one task by their contracts: checks, limits, retries, records.

A call ends in time with an observation for the model, whatever the tool or the model does. Only three things end the
task from here: its budget, going in circles, and a tenant with nothing indexed at all.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from agents.answer import Step
from agents.task.actions import Action, Done
from agents.task.budget import BudgetReached
from agents.task.context import TaskContext
from agents.task.purpose import sub_task
from agents.task.recorder import one_line
from agents.tools.contract import Observation, Tool, ToolContext, ToolFailed
from agents.tools.mcp.listing import ListedTool
from lakehouse.errors import InvalidInput, LakehopError, Unavailable

_PROCESS = uuid.uuid4().hex
OUTPUT_CHARACTERS = 4_000  # of a tool's output; more than a small model reads at all
ARGUMENT_CHARACTERS = 120  # of refused arguments in the trace


@dataclass(frozen=True)
class _Call:
    """A call whose arguments passed the schema. `key` is the same for the same call of the same task."""

    tool: Tool
    arguments: BaseModel
    query: str
    key: str
    hop: int


class ToolRunner:
    """The tools of one task. The breakers are shared by the process."""

    def __init__(self, context: TaskContext) -> None:
        self.fault: Unavailable | None = None
        """The last fault of a part of the stack that a tool met."""
        self._context = context
        self._breakers = context.deps.breakers
        self._tools = {tool.name: tool for tool in context.deps.tools}
        self._connected: frozenset[str] | None = None
        self._observations: dict[str, Observation] = {}

    async def away(self) -> list[str]:
        """Names of the tools that keep failing and may not be called for now."""
        await self._connect()
        return self._context.journal.look("away", lambda: [name for name in self._tools if self._seconds_away(name)])

    def offered(self, away: Collection[str]) -> list[Tool]:
        """The tools that may be called now; `away`: names of tools to leave out."""
        return [tool for tool in self._tools.values() if tool.name not in away and not self._forbidden(tool)]

    def connected(self, away: Collection[str]) -> list[Tool]:
        """The offered tools of MCP servers."""
        return [tool for tool in self.offered(away) if tool.name in (self._connected or ())]

    def tool(self, name: str) -> Tool:
        """The tool of that name. Raises ToolFailed naming the tools of the task."""
        if name not in self._tools:
            raise ToolFailed(f"tool {name[:40]!r}: must be one of {', '.join(self._tools)}. Choose one of them.")
        return self._tools[name]

    async def call(self, name: str, arguments: Mapping[str, Any] | str, *, hop: int) -> Observation:
        """Call a tool with arguments as a model wrote them. Raises BudgetReached and NotFound, and nothing else."""
        self._context.budget.seconds_left()
        try:
            call = self._checked(name, arguments, hop)
        except ToolFailed as failure:
            return await self._refused(name, arguments, hop, failure)
        self._context.loops.note(f"calling {name}", call.query)
        if earlier := self._observations.get(call.key):
            return replace(earlier, repeated=True)
        observation = await self._observed(call)
        if observation.ok or call.tool.effects != "none":
            self._observations[call.key] = observation
        return observation

    async def _connect(self) -> None:
        """List the tools of the caller's MCP servers, once per task; a resumed task chooses among the same tools."""
        servers, caller = self._context.deps.servers, self._context.caller
        if self._connected is not None or not servers.open_to(caller):
            return

        async def ask() -> list[ListedTool]:
            return await servers.listed(caller)

        listed = await self._context.once("tools", ask)
        tools = [tool for entry in listed if (tool := servers.tool(entry)) and tool.name not in self._tools]
        self._connected = frozenset(tool.name for tool in tools)
        self._tools |= {tool.name: tool for tool in tools}

    def _checked(self, name: str, arguments: Mapping[str, Any] | str, hop: int) -> _Call:
        """The call, if it may be made. Raises ToolFailed saying what is allowed."""
        tool = self.tool(name)
        if forbidden := self._forbidden(tool):
            raise ToolFailed(forbidden)
        parsed = _parsed(tool, arguments)
        key = hashlib.sha256(f"{self._context.id}\0{name}\0{parsed.model_dump_json()}".encode()).hexdigest()[:32]
        return _Call(tool, parsed, _query(parsed), key, hop)

    async def _observed(self, call: _Call) -> Observation:
        """Make the call, and tell the breaker how it ended."""
        tool, tenant_id = call.tool, self._context.caller.tenant_id
        try:
            done = await self._retried(call)
        except ToolAway as away:
            return Observation(tool.name, str(away), ok=False)
        except (ToolFailed, InvalidInput) as failure:
            self._breakers.succeeded(tenant_id, tool.name)
            return Observation(tool.name, _bounded(str(failure)), ok=False)
        except Exception as fault:
            if not _is_a_fault(fault):
                raise
            self._breakers.failed(tenant_id, tool.name)
            return self._broken(tool, fault)
        self._breakers.succeeded(tenant_id, tool.name)
        return Observation(tool.name, done.step.output or "", passages=done.passages, empty=done.empty)

    async def _retried(self, call: _Call) -> Done:
        """Attempt the call as often as the contract allows; a tool with side effects once."""
        retry, attempts = call.tool.retry, call.tool.retry.attempts if call.tool.effects == "none" else 1
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=wait_exponential_jitter(
                multiplier=retry.first_wait_s, max=retry.longest_wait_s, jitter=retry.first_wait_s
            ),
            retry=retry_if_exception(_is_a_fault),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                done = await self._attempt(call, attempt.retry_state.attempt_number)
        return done

    async def _attempt(self, call: _Call, number: int) -> Done:
        """One attempt, with its record and step however it ends."""
        context, tool = self._context, call.tool
        context.budget.allow_step(tool.usd)
        left_s = context.budget.seconds_left()
        limit_s = min(left_s, tool.timeout_s)
        given = ToolContext(
            context.caller, context.deps.settings, context.deps.retriever, call.key, limit_s, context.filters
        )
        action = Action(tool.kind, tool.name, call.hop, call.query, attempt=number)
        begun_by = await context.once("begin", _this_process) if tool.effects != "none" else _PROCESS

        async def work() -> None:
            self._check_is_there(tool)
            if begun_by != _PROCESS:
                raise RuntimeError("the process that made this call died in it")
            action.usd = tool.usd
            try:
                async with asyncio.timeout(limit_s):
                    result = await tool.run(call.arguments, given)
            except TimeoutError:
                if limit_s == left_s:
                    raise BudgetReached(f"max_seconds was used up while {tool.name} ran") from None
                raise TimeoutError(f"no end within {limit_s:g} s") from None
            action.output, action.passages, action.empty = _bounded(result.text), result.passages, result.empty

        done = await context.act(action, work, trust=tool.trust)
        context.budget.spent_usd -= tool.usd - done.step.usd  # a tool that is away was not called
        if done.failure:
            raise done.failure
        return done

    async def _refused(
        self, name: str, arguments: Mapping[str, Any] | str, hop: int, failure: ToolFailed
    ) -> Observation:
        """A refused call costs nothing and has no record; as a step it explains the trace."""
        query = arguments if isinstance(arguments, str) else json.dumps(dict(arguments), default=str)
        self._context.loops.note("asking for a tool", name, query)
        step = Step(
            kind="tool",
            sub_task=sub_task.get(),
            agent=name[:40],
            hop=hop,
            query=query[:ARGUMENT_CHARACTERS],
            latency_ms=0.0,
            error=one_line(failure),
        )
        await self._context.recorder.add(step)
        return Observation(name[:40], str(failure), ok=False)

    def _broken(self, tool: Tool, fault: Exception) -> Observation:
        if isinstance(fault, Unavailable):
            self.fault = fault
        text = (
            f"{tool.name} failed ({_bounded(one_line(fault))}). Do without it, or try once more with other arguments."
        )
        if tool.effects != "none":
            text = (
                f"{tool.name} failed ({_bounded(one_line(fault))}), and whether it did its work is not known. "
                "It is not called again like this. Say so in the answer."
            )
        return Observation(tool.name, text, ok=False)

    def _seconds_away(self, name: str) -> float:
        return self._breakers.seconds_away(self._context.caller.tenant_id, name)

    def _forbidden(self, tool: Tool) -> str | None:
        """The reason why this task may not call a tool; None when it may."""
        if tool.effects != "none" and self._context.has_read_strangers:
            return (
                f"{tool.name} changes things outside, and this task has read what strangers wrote, who may ask for "
                "that. Tell the asker what to do instead."
            )
        return None

    def _check_is_there(self, tool: Tool) -> None:
        if away_s := self._seconds_away(tool.name):
            others = ", ".join(name for name in self._tools if not self._seconds_away(name)) or "none"
            raise ToolAway(f"{tool.name} keeps failing and is away for {away_s:.0f} s. There are: {others}.")


class ToolAway(ToolFailed):
    """The tool keeps failing and may not be called for a while."""


async def _this_process() -> str:
    return _PROCESS


def _is_a_fault(error: BaseException) -> bool:
    """Whether the tool broke, so that the same call may succeed the next time. A refusal is final."""
    if isinstance(error, LakehopError):
        return isinstance(error, Unavailable)
    return isinstance(error, Exception) and not isinstance(error, (ToolFailed, BudgetReached))


def _parsed(tool: Tool, arguments: Mapping[str, Any] | str) -> BaseModel:
    """The arguments by the tool's schema. Raises ToolFailed saying what is allowed."""
    try:
        if isinstance(arguments, str):
            return tool.arguments.model_validate_json(arguments)
        return tool.arguments.model_validate(dict(arguments))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'arguments'}: {detail['msg']}" for detail in error.errors()[:3]
        )
        fields = tool.schema().get("properties", {})
        takes = ", ".join(f"{name} ({_allowed(field)})" for name, field in fields.items()) or "nothing"
        raise ToolFailed(f"{tool.name}: {wrong[:300]}. It takes {takes}. Call it again so.") from None


def _allowed(field: Mapping[str, Any]) -> str:
    """One argument's schema in words, for a model."""
    bounds = [f"{name} {field[name]}" for name in ("minimum", "maximum", "maxLength") if name in field]
    description = [str(field["description"])] if field.get("description") else []
    return ", ".join([str(field.get("type", "value")), *bounds, *description])


def _query(arguments: BaseModel) -> str:
    """Arguments as a step's query: the value alone where there is one."""
    values = arguments.model_dump(mode="json", exclude_defaults=True)
    return str(next(iter(values.values()))) if len(values) == 1 else json.dumps(values, ensure_ascii=False)


def _bounded(text: str) -> str:
    if len(text) <= OUTPUT_CHARACTERS:
        return text
    return f"{text[:OUTPUT_CHARACTERS]}… (cut: the first {OUTPUT_CHARACTERS:,} of {len(text):,} characters)"
