"""Runs the sub-tasks of a plan, each after the sub-tasks that it needs, several at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from agents.programs.team.plan import Plan, SubTask
from agents.task.journal import Journal
from agents.task.purpose import sub_task


async def carry_out(plan: Plan, max_fan_out: int, work: Callable[[SubTask], Awaitable[None]], journal: Journal) -> None:
    """Do `work` for each sub-task after its needs, at most `max_fan_out` at a time. The first error ends all."""
    gate, ended = asyncio.Semaphore(max_fan_out), {task.id: asyncio.Event() for task in plan.tasks}

    async def do(task: SubTask, branch: AbstractContextManager[None]) -> None:
        for need in task.needs:
            await ended[need].wait()
        async with gate:
            sub_task.set(task.id)  # asyncio gives each `do` a context of its own
            with branch:
                await work(task)
        ended[task.id].set()

    running = [
        asyncio.create_task(do(task, branch))
        for task, branch in zip(plan.tasks, journal.branches(len(plan.tasks)), strict=True)
    ]
    try:
        finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for future in running:
            future.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    for future in finished:
        future.result()
