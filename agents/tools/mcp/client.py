"""The connection to one MCP server, whose tools become tools of ours. The server may hang, die or lie.

The connection lives in a thread with an event loop of its own, so that no server can hold up the tasks of others. The
first call opens it, and a failed call drops it: the next call connects again, and a server that hung is killed with its
process.
"""

import asyncio
import json
import logging
import re
import threading
from collections.abc import AsyncIterator, Container, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
from mcp_types import RequestParamsMeta
from pydantic import BaseModel, ConfigDict, Field, create_model

from agents.tools.contract import Retry, Tool, ToolContext, ToolFailed, ToolResult
from agents.tools.mcp.listing import START_S, ListedTool
from lakehouse.access.mcp_servers import McpServerSettings

ERROR_CHARACTERS = 300
DESCRIPTION_CHARACTERS = 300  # a server's words go into our prompts
MAX_TOOLS = 32
MAX_PAGES = 50  # of a list of tools; a server could give pages without end
MAX_NAME = 48
LOGGED_NAMES = 10
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list[Any],
    "object": dict[str, Any],
}

log = logging.getLogger("lakehop.mcp")


class ServerFailed(Exception):
    """The server closed the connection or never answered. The text holds none of the server's secrets."""


class McpServer:
    """One server of the settings. Close it at the end.

    A tool has side effects unless the settings call it read-only, whatever the server says: it is called once, and
    never after the task has read text of strangers.
    """

    def __init__(self, settings: McpServerSettings) -> None:
        self.settings = settings
        self._opening = asyncio.Lock()
        self._connection: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._left_out: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"mcp-{settings.name}", daemon=True)
        self._thread.start()

    async def listing(self) -> list[ListedTool]:
        """The tools that the server offers now. Raises ServerFailed."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._list(), self._loop))

    def tool(self, listed: ListedTool) -> Tool:
        """A tool of ours that calls the server's."""

        async def run(given: BaseModel, context: ToolContext) -> ToolResult:
            if not self.settings.allows(context.caller):  # a task may be resumed after the caller lost the right
                raise ToolFailed(f"{self.settings.name}: the asker may not use it any more. Do without it.")
            arguments = given.model_dump(mode="json", exclude_unset=True, by_alias=True)
            calling = asyncio.run_coroutine_threadsafe(self._call(listed.name, arguments, context), self._loop)
            return ToolResult(await asyncio.wrap_future(calling))

        return Tool(
            name=f"{self.settings.name}_{listed.offered_as or listed.name}",
            description=listed.description,
            arguments=arguments_of(listed.offered_as or listed.name, listed.schema),
            run=run,
            timeout_s=self.settings.timeout_s,
            effects="none" if listed.name in self.settings.read_only else "side effects",
            retry=Retry(attempts=2),
            trust="strangers",
        )

    def close(self) -> None:
        """End the connection, and the server's process where we started it."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(START_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _list(self) -> list[ListedTool]:
        async with self._dropped_if_it_fails():
            tools = await self._pages(await self._connected())
        offered: dict[str, ListedTool] = {}
        left_out: list[str] = []
        for tool in tools:
            name = callable_name(tool.name, offered)
            if not name or len(offered) == MAX_TOOLS:
                left_out.append(self._clean(tool.name)[:MAX_NAME])
                continue
            schema = self._cleaned(tool.input_schema)
            offered[name] = ListedTool(self.settings.name, tool.name, self._description(tool), schema, name)
        self._log_left_out(left_out)
        return list(offered.values())

    async def _pages(self, client: Client) -> list[Any]:
        """The tools of all pages."""
        tools, cursor, seen = [], None, set[str]()
        while len(seen) < MAX_PAGES:
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None or cursor in seen:
                return tools
            seen.add(cursor)
        log.warning("MCP server %r: more than %d pages of tools. The rest is not read.", self.settings.name, MAX_PAGES)
        return tools

    def _log_left_out(self, names: list[str]) -> None:
        """Log the tools that are not offered, once for each list of them."""
        if names and names != self._left_out:
            shown = ", ".join(map(repr, names[:LOGGED_NAMES])) + (" …" if len(names) > LOGGED_NAMES else "")
            log.warning(
                "MCP server %r: %d tools are not offered: %s. At most %d are, and each needs a name.",
                self.settings.name, len(names), shown, MAX_TOOLS,
            )  # fmt: skip
        self._left_out = names

    def _description(self, tool: Any) -> str:
        text = " ".join(self._clean(tool.description or tool.name).split())
        return text[:DESCRIPTION_CHARACTERS]

    async def _call(self, name: str, arguments: dict[str, Any], context: ToolContext) -> str:
        async with self._dropped_if_it_fails():
            client = await self._connected()
            meta = RequestParamsMeta(idempotency_key=context.idempotency_key)  # type: ignore[typeddict-unknown-key]
            result = await client.call_tool(name, arguments, meta=meta)
        text = self._clean(result_text(result.content, result.structured_content))
        if result.is_error:
            raise ToolFailed(f"{self.settings.name}_{name}: {text[:300]}. Call it otherwise, or do without it.")
        return text

    @asynccontextmanager
    async def _dropped_if_it_fails(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            await self._drop()
            inner = _innermost(error)
            text = self._clean(f"{type(inner).__name__}: {inner}")  # before the cut, or half a secret would stay
            raise ServerFailed(" ".join(text.split())[:ERROR_CHARACTERS]) from None
        except BaseException:
            await self._drop()
            raise

    def _clean(self, text: str) -> str:
        """The text without the server's secrets, which the server may repeat."""
        for secret in self.settings.secrets:
            text = text.replace(secret.get_secret_value(), "***")
        return text

    def _cleaned(self, value: Any) -> Any:
        """A JSON value without the server's secrets in any of its texts."""
        if isinstance(value, str):
            return self._clean(value)
        if isinstance(value, Mapping):
            return {self._clean(name): self._cleaned(inner) for name, inner in value.items()}
        return [self._cleaned(inner) for inner in value] if isinstance(value, list) else value

    async def _connected(self) -> Client:
        async with self._opening:
            if self._client is None:
                opened: asyncio.Future[Client] = self._loop.create_future()
                self._connection = self._loop.create_task(self._hold_open(opened))
                self._client = await opened
            return self._client

    async def _hold_open(self, opened: "asyncio.Future[Client]") -> None:
        """Open the connection and hold it: a connection must be closed by the asyncio task that opened it."""
        try:
            async with AsyncExitStack() as stack:
                opened.set_result(await self._open(stack))
                await asyncio.Event().wait()
        except Exception as error:
            if not opened.done():
                opened.set_exception(error)

    async def _open(self, stack: AsyncExitStack) -> Client:
        settings = self.settings
        if settings.command:
            environment = {name: value.get_secret_value() for name, value in settings.env.items()}
            command = StdioServerParameters(command=settings.command, args=list(settings.args), env=environment)
            return await stack.enter_async_context(Client(command))
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
        return await stack.enter_async_context(Client(streamable_http_client(settings.url, http_client=http)))

    async def _drop(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection:
            connection.cancel()
            await asyncio.wait({connection})


def _innermost(error: Exception) -> Exception:
    """The error inside nested exception groups."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def callable_name(name: str, taken: Container[str]) -> str:
    """A name that a model can call: letters, digits, `_` and `-`; not one that is taken. Empty for a blank name.

    The protocol allows any name, e.g. `tickets.find`; models call functions, whose names hold no dot.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:MAX_NAME] if name.strip() else ""
    numbered, number = plain, 2
    while plain and numbered in taken:
        numbered = f"{plain[: MAX_NAME - 4]}_{number}"
        number += 1
    return numbered


def result_text(content: Sequence[Any], structured: Any) -> str:
    """A result's text. What has none is named by its type; JSON stands for it where the server sent only that."""
    texts = [getattr(part, "text", None) or getattr(getattr(part, "resource", None), "text", None) for part in content]
    lines = [text or _named(part) for part, text in zip(content, texts, strict=True)]
    if structured is not None and not any(texts):
        lines.append(json.dumps(structured, ensure_ascii=False))
    return "\n".join(lines)


def _named(part: Any) -> str:
    if part.type == "text":
        return ""
    return f"({part.type} {part.uri})" if hasattr(part, "uri") else f"({part.type})"


def arguments_of(name: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """A pydantic model of a server's JSON schema: names, types, required fields. The server checks the rest.

    A field whose name pydantic does not allow, e.g. `per-page`, has another here and its own as alias.
    """
    required = set(schema.get("required") or ())
    fields: dict[str, Any] = {}
    for field, declared in (schema.get("properties") or {}).items():
        declared = declared if isinstance(declared, Mapping) else {}
        description = str(declared.get("description") or "")[:DESCRIPTION_CHARACTERS]
        kind = _kind(declared.get("type"))
        known = Field(... if field in required else None, alias=field, description=description)
        fields[_field_name(field, fields)] = (kind if field in required else kind | None, known)
    config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())
    return create_model(f"Arguments_{name}", __config__=config, **fields)


def _kind(declared: Any) -> Any:
    """The Python type of a JSON schema's `type`, which may be a list such as `["string", "null"]`."""
    names = [name for name in declared if name != "null"] if isinstance(declared, list) else [declared]
    kind = _TYPES.get(str(names[0]), Any) if len(names) == 1 else Any
    return kind | None if isinstance(declared, list) and "null" in declared else kind


def _field_name(name: str, taken: Container[str]) -> str:
    plain = re.sub(r"\W", "_", name).strip("_") or "field"
    if plain[0].isdigit():
        plain = f"field_{plain}"
    while plain in taken or hasattr(BaseModel, plain):
        plain += "_"
    return plain
