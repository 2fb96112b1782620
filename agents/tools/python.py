"""Python that a model wrote, in a process of its own that knows no files, no network and no clock to wait by.

Monty interprets a part of Python in a worker process. Its limits are off by default, so all are set here; a worker that
overruns them is killed with its session, and this process only learns of it.
"""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from agents.tools.contract import Tool, ToolContext, ToolFailed, ToolResult

if TYPE_CHECKING:
    from pydantic_monty import ResourceLimits

SECONDS = 2.0
PRINTED_CHARACTERS = 20_000
_LIMITS: "ResourceLimits" = {
    "max_feed_duration_secs": SECONDS,
    "max_turn_duration_secs": SECONDS,
    "max_memory": 64_000_000,  # bytes: a million numbers in a list
    "max_recursion_depth": 200,
    "max_suspensions": 1,  # nothing outside is to be called
    "max_total_sleep_secs": 0.0,
}


class Code(BaseModel, extra="forbid"):
    """What `python` takes."""

    code: str = Field(description="lines of Python; the last is the result", min_length=1, max_length=4_000)


class _Printed:
    """What the code printed, up to a bound: a loop prints megabytes before its time is up."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, stream: str, text: str) -> None:
        self.text += text[: PRINTED_CHARACTERS - len(self.text)]


async def _run(given: Code, context: ToolContext) -> ToolResult:
    from pydantic_monty import AsyncMonty, MontyCrashedError, MontyError  # here: most tasks write no code

    printed = _Printed()
    try:
        async with (
            AsyncMonty(min_processes=1, max_processes=1, request_timeout=2 * SECONDS) as pool,
            pool.checkout(limits=_LIMITS) as session,
        ):
            value: Any = await session.feed_run(given.code, print_callback=printed)
    except MontyCrashedError:
        raise ToolFailed("python: the sandbox was killed, for it took too much time or memory. Do less.") from None
    except MontyError as error:
        raise ToolFailed(f"python: {str(error)[:300]}. Only plain Python, no files and no network. Mend it.") from None
    said = printed.text + ("" if value is None else str(value))
    if not said.strip():
        raise ToolFailed("python: no result. End with the value as the last line, or print it.")
    return ToolResult(said.strip())


PYTHON = Tool(
    name="python",
    description="Run a few lines of Python for dates, counting, sorting or text. No files, no network.",
    arguments=Code,
    run=_run,
    timeout_s=10.0,  # beyond the sandbox's own limit: a worker has to start
)
