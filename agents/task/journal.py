"""The results of a task's actions, kept for tasks that outlive their process.

A task acts on the world through `once` only. A durable task whose process died starts its program again from the
beginning; each action that had ended returns its kept result, so that nothing is done or paid twice. So a program may
depend on its question and on the results of its actions alone: on no clock, no chance, no other task.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")


def new_task_id() -> str:
    """An id that no other task has."""
    return f"task_{uuid.uuid4().hex}"


class Once(Protocol):
    """Do a named piece of work, or return its kept result. An exception is not kept."""

    async def __call__(self, name: str, work: Callable[[], Awaitable[T]]) -> T: ...


class Journal:
    """Of a task that ends with its process: it keeps nothing."""

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """See `Once`."""
        return await work()

    def look(self, name: str, look: Callable[[], T]) -> T:
        """Look at a state that may change and costs nothing to look at, or return what was seen the first time.

        It is kept together with the next action, so before anything can follow from it.
        """
        return look()

    def branches(self, count: int) -> Sequence[AbstractContextManager[None]]:
        """A context to enter for each of `count` parts that run side by side, so that none takes another's results."""
        return [nullcontext()] * count

    def goes_on(self, end: BaseException) -> bool:
        """Whether this end of the program only interrupts the task, which another process resumes."""
        return False
