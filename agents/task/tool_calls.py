"""Calls the tools of one task by their contracts, so that no program has to: checks, limits, repeats, records.

Whatever a tool or a model does, a call ends in time with an observation that a model can be shown. Only three things
end the task from here: its budget, going in circles, and that the tenant has nothing indexed at all.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from agents.answer import Step
from agents.task.budget import BudgetReached
from agents.task.purpose import sub_task
from agents.task.recorder import Action, Done, one_line
from agents.tools.contract import Observation, Tool, ToolContext, ToolFailed
from agents.tools.mcp.servers import Listed
from lakehouse.errors import InvalidInput, LakehopError, Unavailable

if TYPE_CHECKING:
    from agents.task.task import Dependencies, Task

_PROCESS = uuid.uuid4().hex
OUTPUT_CHARACTERS = 4_000  # of what a tool says; more than a small model reads at all
SHOWN_ARGUMENT_CHARACTERS = 120


class ToolRunner:
    """One a task. The breakers are shared by the process."""

    def __init__(self, task: "Task", deps: "Dependencies") -> None:
        self.read_strangers = False
        self.fault: Unavailable | None = None
        self._task = task
        self._deps = deps
        self._tools = {tool.name: tool for tool in deps.tools}
        self._connected: frozenset[str] | None = None
        self._done: dict[str, Observation] = {}

    async def away(self) -> list[str]:
        """Names of the tools that keep failing and are left alone for now."""
        await self._connect()
        return self._task.journal.look("away", lambda: [name for name in self._tools if self._seconds_away(name)])

    def offered(self, away: Collection[str]) -> list[Tool]:
        """The tools that may be called now, with those away that are."""
        return [tool for tool in self._tools.values() if tool.name not in away and not self._forbidden(tool)]

    def connected(self, away: Collection[str]) -> list[Tool]:
        """Those of MCP servers among them."""
        return [tool for tool in self.offered(away) if tool.name in (self._connected or ())]

    async def _connect(self) -> None:
        """Learn what the asker's MCP servers offer, once a task and kept: a resumed one chooses among the same."""
        servers, caller = self._deps.servers, self._task.caller
        if self._connected is not None or not servers.open_to(caller):
            return

        async def ask() -> list[Listed]:
            return await servers.listed(caller)

        listed = await self._task.once("tools", ask)
        tools = [tool for one in listed if (tool := servers.tool(one)) and tool.name not in self._tools]
        self._connected = frozenset(tool.name for tool in tools)
        self._tools |= {tool.name: tool for tool in tools}

    def tool(self, name: str) -> Tool:
        """The tool of that name. Raises ToolFailed naming those that there are."""
        if name not in self._tools:
            raise ToolFailed(f"tool {name[:40]!r}: must be one of {', '.join(self._tools)}. Choose one of them.")
        return self._tools[name]

    async def call(self, name: str, arguments: Mapping[str, Any] | str, *, hop: int) -> Observation:
        """Call a tool with arguments as a model wrote them. Raises BudgetReached and NotFound, and nothing else."""
        self._task.budget.seconds_left()
        shown = arguments if isinstance(arguments, str) else json.dumps(dict(arguments), default=str)
        try:
            tool = self.tool(name)
            if forbidden := self._forbidden(tool):
                raise ToolFailed(forbidden)
            given = _checked(tool, arguments)
        except ToolFailed as failure:
            return await self._not_called(name, shown, hop, failure)
        shown = _shown(given)
        key = hashlib.sha256(f"{self._task.id}\0{name}\0{given.model_dump_json()}".encode()).hexdigest()[:32]
        self._task.loops.note(f"calling {name}", shown)
        if before := self._done.get(key):
            return replace(before, repeated=True)
        seen = await self._run(tool, given, shown, key, hop)
        if seen.ok or tool.effects != "none":
            self._done[key] = seen
        return seen

    async def _run(self, tool: Tool, given: BaseModel, shown: str, key: str, hop: int) -> Observation:
        """All attempts that the contract allows, and what the breaker learns from them."""
        retry, attempts = tool.retry, tool.retry.attempts if tool.effects == "none" else 1
        retrying = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            wait=wait_exponential_jitter(
                multiplier=retry.first_wait_s, max=retry.longest_wait_s, jitter=retry.first_wait_s
            ),
            retry=retry_if_exception(_is_a_fault),
            reraise=True,
        )
        tenant_id = self._task.caller.tenant_id
        try:
            async for attempt in retrying:
                with attempt:
                    done = await self._attempt(tool, given, shown, key, hop, attempt.retry_state.attempt_number)
        except ToolAway as away:
            return Observation(tool.name, str(away), ok=False)
        except (ToolFailed, InvalidInput) as failure:
            self._deps.breakers.succeeded(tenant_id, tool.name)
            return Observation(tool.name, _bounded(str(failure)), ok=False)
        except Exception as fault:
            if not _is_a_fault(fault):
                raise
            self._deps.breakers.failed(tenant_id, tool.name)
            return self._broke(tool, fault)
        self._deps.breakers.succeeded(tenant_id, tool.name)
        self.read_strangers |= tool.trust == "strangers"
        return Observation(tool.name, done.step.output or "", passages=done.passages, empty=done.empty)

    async def _attempt(self, tool: Tool, given: BaseModel, shown: str, key: str, hop: int, attempt: int) -> Done:
        """One try, with its record and step, however it ends."""
        budget = self._task.budget
        budget.allow_step(tool.usd)
        left = budget.seconds_left()
        limit = min(left, tool.timeout_s)
        context = ToolContext(self._task.caller, self._deps.settings, self._deps.retriever, key, limit)
        action = Action(tool.kind, tool.name, hop, shown, attempt=attempt)
        begun_by = await self._task.once("begin", _this_process) if tool.effects != "none" else _PROCESS

        async def run() -> None:
            self._check_is_there(tool)
            if begun_by != _PROCESS:
                raise RuntimeError("the process that made this call died in it")
            action.usd = tool.usd
            try:
                async with asyncio.timeout(limit):
                    found = await tool.run(given, context)
            except TimeoutError:
                if limit == left:
                    raise BudgetReached(f"max_seconds was used up while {tool.name} ran") from None
                raise TimeoutError(f"no end within {limit:g} s") from None
            action.output, action.passages, action.empty = _bounded(found.text), found.passages, found.empty

        done = await self._task.recorder.act(action, run)
        budget.spent_usd -= tool.usd - done.step.usd  # a tool that is away was not called
        if done.failure:
            raise done.failure
        return done

    def _broke(self, tool: Tool, fault: Exception) -> Observation:
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

    async def _not_called(self, name: str, shown: str, hop: int, failure: ToolFailed) -> Observation:
        """A refused call costs nothing and has no record; it is a step, so that the trace explains what came of it."""
        self._task.loops.note("asking for a tool", name, shown)
        shown = shown[:SHOWN_ARGUMENT_CHARACTERS]
        step = Step(
            kind="tool",
            sub_task=sub_task.get(),
            agent=name[:40],
            hop=hop,
            query=shown,
            latency_ms=0.0,
            error=one_line(failure),
        )
        await self._task.recorder.add(step)
        return Observation(name[:40], str(failure), ok=False)

    def _seconds_away(self, name: str) -> float:
        return self._deps.breakers.seconds_away(self._task.caller.tenant_id, name)

    def _forbidden(self, tool: Tool) -> str | None:
        """Why this task may not call a tool; None when it may."""
        if tool.effects != "none" and self.read_strangers:
            return (
                f"{tool.name} changes things outside, and this task has read what strangers wrote, who may ask for "
                "that. Tell the asker what to do instead."
            )
        return None

    def _check_is_there(self, tool: Tool) -> None:
        if away := self._seconds_away(tool.name):
            others = ", ".join(name for name in self._tools if not self._seconds_away(name)) or "none"
            raise ToolAway(f"{tool.name} keeps failing and is away for {away:.0f} s. There are: {others}.")


class ToolAway(ToolFailed):
    """The tool keeps failing and is left alone for a while."""


async def _this_process() -> str:
    return _PROCESS


def _is_a_fault(error: BaseException) -> bool:
    """Whether the tool broke, so that the same call may come off the next time; else it has said its last word."""
    if isinstance(error, LakehopError):
        return isinstance(error, Unavailable)
    return isinstance(error, Exception) and not isinstance(error, (ToolFailed, BudgetReached))


def _checked(tool: Tool, arguments: Mapping[str, Any] | str) -> BaseModel:
    """The arguments as the tool's schema has them. Raises ToolFailed telling what is allowed."""
    try:
        if isinstance(arguments, str):
            return tool.arguments.model_validate_json(arguments)
        return tool.arguments.model_validate(dict(arguments))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()[:3]
        )
        fields = tool.schema().get("properties", {})
        takes = ", ".join(f"{name} ({_allowed(field)})" for name, field in fields.items()) or "nothing"
        raise ToolFailed(f"{tool.name}: {wrong[:300]}. It takes {takes}. Call it again so.") from None


def _allowed(field: Mapping[str, Any]) -> str:
    """One argument as its schema has it, for a model."""
    bounds = [f"{name} {field[name]}" for name in ("minimum", "maximum", "maxLength") if name in field]
    about = [str(field["description"])] if field.get("description") else []
    return ", ".join([str(field.get("type", "value")), *bounds, *about])


def _shown(given: BaseModel) -> str:
    """Arguments as a step shows them: the value alone where there is one."""
    values = given.model_dump(mode="json", exclude_defaults=True)
    return str(next(iter(values.values()))) if len(values) == 1 else json.dumps(values, ensure_ascii=False)


def _bounded(text: str) -> str:
    if len(text) <= OUTPUT_CHARACTERS:
        return text
    return f"{text[:OUTPUT_CHARACTERS]}… (cut: the first {OUTPUT_CHARACTERS:,} of {len(text):,} characters)"
