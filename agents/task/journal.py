"""What a task has done already, for those that outlive their process.

A task does to the world through `once` only. A durable one is begun anew where its process died: its program runs from
the start again, and each action that had ended gives what it gave then, so that nothing is done or paid twice. The rest
of a program follows from its question and from what its actions gave, and must: no clock, no chance, no other task.
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
    """Do a named piece of work, or give what it gave when it was done before. What it raises is not kept."""

    async def __call__(self, name: str, work: Callable[[], Awaitable[T]]) -> T: ...


class Journal:
    """Of a task that ends with its process: nothing is kept."""

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """See `Once`."""
        return await work()

    def look(self, name: str, look: Callable[[], T]) -> T:
        """Look at what may be otherwise another time and costs nothing, or give what was seen the first time.

        It is kept with the next action that is, so before anything that may follow from it.
        """
        return look()

    def branches(self, count: int) -> Sequence[AbstractContextManager[None]]:
        """One to enter in each of the parts that run side by side, so that none takes what another one did."""
        return [nullcontext()] * count

    def goes_on(self, end: BaseException) -> bool:
        """Whether the task is only interrupted by what ended its program here."""
        return False
