"""Runs Python that a model wrote, in a process of its own without files, network or sleep.

Monty interprets a part of Python in a worker process. Its limits are off by default, so all are set here; a worker that
overruns a limit is killed, and this process gets an error.
"""

from typing import Any

from pydantic import BaseModel, Field

from agents.tools.contract import Tool, ToolContext, ToolFailed, ToolResult

SECONDS = 2.0
PRINTED_CHARACTERS = 20_000


class Code(BaseModel, extra="forbid"):
    """Arguments of `python`."""

    code: str = Field(description="lines of Python; the last is the result", min_length=1, max_length=4_000)


class _Printed:
    """Output of the code, up to a bound: a loop can print megabytes before its time is up."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, stream: str, text: str) -> None:
        self.text += text[: PRINTED_CHARACTERS - len(self.text)]


async def _run(given: Code, context: ToolContext) -> ToolResult:
    # here: most tasks write no code
    from pydantic_monty import AsyncMonty, MontyCrashedError, MontyError, ResourceLimits

    limits = ResourceLimits(
        max_feed_duration_secs=SECONDS,
        max_turn_duration_secs=SECONDS,
        max_memory=64_000_000,  # bytes: a million numbers in a list
        max_recursion_depth=200,
        max_suspensions=1,  # the code may call nothing outside
        max_total_sleep_secs=0.0,
    )
    printed = _Printed()
    try:
        async with (
            AsyncMonty(min_processes=1, max_processes=1, request_timeout=2 * SECONDS) as pool,
            pool.checkout(limits=limits) as session,
        ):
            value: Any = await session.feed_run(given.code, print_callback=printed)
    except MontyCrashedError:
        raise ToolFailed("python: the sandbox was killed, for it took too much time or memory. Do less.") from None
    except MontyError as error:
        raise ToolFailed(f"python: {str(error)[:300]}. Only plain Python, no files and no network. Mend it.") from None
    output = printed.text + ("" if value is None else str(value))
    if not output.strip():
        raise ToolFailed("python: no result. End with the value as the last line, or print it.")
    return ToolResult(output.strip())


PYTHON = Tool(
    name="python",
    description="Run a few lines of Python for dates, counting, sorting or text. No files, no network.",
    arguments=Code,
    run=_run,
    timeout_s=10.0,  # longer than the sandbox's own limit, because a worker must start
)
