"""The model of `tests.benchmarks.agent_overhead`: an OpenAI-compatible server with scripted answers.

It is a process of its own, so that it uses no contestant's event loop. It measures its own time, from a request read to
its answer written. It keeps no conversation: the prompt determines the answer. Programs that send `tools` get tool
calls; ours, which sends none, gets the words that its signatures ask for. A stream has pieces of four characters, like
a model's tokens.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

TOOL = "calculate"
PIECE = 4  # characters, about the length of a token
USAGE = {"prompt_tokens": 300, "completion_tokens": 8, "total_tokens": 308}


def sums_wanted(model: str) -> int:
    """The number of sums before the answer, from the end of the model's name."""
    return int(model.rpartition("-")[2])


def reply(body: Mapping[str, Any]) -> dict[str, Any]:
    """The assistant's next message."""
    wanted, last = sums_wanted(body["model"]), body["messages"][-1]["content"]
    if "tools" in body:
        done = sum(message["role"] == "tool" for message in body["messages"])
        if done == wanted:
            return {"role": "assistant", "content": "done"}
        call = {"name": TOOL, "arguments": _arguments(done)}
        return {"role": "assistant", "content": None, "tool_calls": [_tool_call(done, call)]}
    done = last.count(f"{TOOL} said:")
    if last.startswith("Passages:"):
        return {"role": "assistant", "content": last.split()[1]}
    if "\nTakes:" in last:
        return {"role": "assistant", "content": _arguments(done)}
    return {"role": "assistant", "content": TOOL if done < wanted else "answer"}


def _arguments(done: int) -> str:
    return json.dumps({"expression": f"{done} + 1"})


def _tool_call(number: int, call: Mapping[str, str]) -> dict[str, Any]:
    return {"index": 0, "id": f"call_{number}", "type": "function", "function": call}


def pieces(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A message as the deltas of a stream."""
    if not message.get("tool_calls"):
        yield {"role": "assistant", "content": ""}
        yield from ({"content": piece} for piece in _cut(message["content"]))
        return
    (call,) = message["tool_calls"]
    function = call["function"]
    yield {"role": "assistant", "content": None, "tool_calls": [call | {"function": function | {"arguments": ""}}]}
    for piece in _cut(function["arguments"]):
        yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _cut(text: str) -> list[str]:
    return re.findall(rf".{{1,{PIECE}}}", text)


def answer(body: Mapping[str, Any]) -> tuple[str, bytes]:
    """The content type and body of the HTTP response."""
    message = reply(body)
    why = "tool_calls" if message.get("tool_calls") else "stop"
    shared = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": why}
        whole = shared | {"object": "chat.completion", "choices": [choice], "usage": USAGE}
        return "application/json", json.dumps(whole).encode()
    shared |= {"object": "chat.completion.chunk"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in pieces(message)]
    choices.append({"index": 0, "delta": {}, "finish_reason": why})
    events = [shared | {"choices": [choice]} for choice in choices] + [shared | {"choices": [], "usage": USAGE}]
    return "text/event-stream", "".join(f"data: {text}\n\n" for text in [*map(json.dumps, events), "[DONE]"]).encode()


class ModelServer:
    """Answers POST with a message, and GET with the calls and seconds since the last GET."""

    def __init__(self) -> None:
        self.calls = 0
        self.seconds = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                sent = await reader.readexactly(int(length.group(1))) if length else b""
                begun = time.perf_counter()
                content_type, content = answer(json.loads(sent)) if sent else self._spent()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode())
                writer.write(content)
                await writer.drain()
                if sent:
                    self.calls += 1
                    self.seconds += time.perf_counter() - begun
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _spent(self) -> tuple[str, bytes]:
        spent = json.dumps({"calls": self.calls, "seconds": self.seconds}).encode()
        self.calls, self.seconds = 0, 0.0
        return "application/json", spent


async def main() -> None:
    """Print the port, then serve until standard input ends."""
    server = await asyncio.start_server(ModelServer().serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
