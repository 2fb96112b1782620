"""The user's memory as a program reads it: few lines, those nearest to the question, as data among the passages.

Programs in which documents vote, or which read them one at a time, take facts from documents alone. A memory has no
document behind it, so those programs refuse a request with memory.
"""

import asyncio
from collections.abc import Sequence

from agents.task.actions import Action
from agents.task.context import TaskContext
from lakehouse.errors import InvalidInput
from lakehouse.state.memory import Memories, Memory, Owner
from lakehouse.text.search_text import words

MEMORY_PROGRAMS = ("react", "single_shot")
RECALL = "recall"  # name of the reading of a memory in steps and records
MAX_LINES = 8
LINE_CHARACTERS = 300  # with 8 lines some 600 tokens: less than the passages beside them


def check_memory(program: str) -> None:
    """Raises InvalidInput for a program that does not read a memory."""
    if program not in MEMORY_PROGRAMS:
        raise InvalidInput(
            f"memory: program {program!r} takes facts from documents alone, {' and '.join(MEMORY_PROGRAMS)} read a "
            "memory. Ask one of them, or leave memory out."
        )


async def remembered(context: TaskContext, question: str) -> str:
    """The lines of the user's memory nearest to a question; "" without any. Raises Unavailable.

    A memory is data, as a passage is: its author may have quoted a stranger.
    """
    context.budget.allow_step()
    action = Action("tool", RECALL, 0, "what is remembered for the asker")

    async def work() -> None:
        memories, caller = Memories(context.deps.settings), context.caller
        entries = await asyncio.to_thread(memories.entries, Owner.of(caller), caller.groups)
        action.output = nearest_lines(entries, question)

    done = await context.act(action, work, trust="strangers")
    if done.failure:
        raise done.failure
    return done.step.output or ""


def nearest_lines(memories: Sequence[Memory], question: str) -> str:
    """A line for each memory, those that share most words with the question first, then the newest; at most 8 lines."""
    question_words = set(words(question))
    lines = sorted(map(_line, memories), key=lambda line: -len(question_words.intersection(words(line))))
    return "\n".join(lines[:MAX_LINES])


def _line(memory: Memory) -> str:
    text = memory.text if memory.question is None else f"{memory.question} {memory.text}"
    return " ".join(text.split())[:LINE_CHARACTERS]
