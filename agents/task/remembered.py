"""What of a user's memory a program is shown: few lines, those nearest to the question, as data among the passages.

Programs that let documents vote or read them one at a time take facts from documents alone; what is remembered has
none to stand for it, so they are not asked with a memory.
"""

from collections.abc import Sequence

from lakehouse.errors import InvalidInput
from lakehouse.state.memory import Memory
from lakehouse.text.terms import words

RECALLING_PROGRAMS = ("react", "single_shot")
MAX_LINES = 8
LINE_CHARACTERS = 300  # all of it is some 600 tokens: less than the passages beside it


def check_recall(program: str) -> None:
    """Raises InvalidInput for a program that would pass over the memory in silence."""
    if program not in RECALLING_PROGRAMS:
        raise InvalidInput(
            f"memory: program {program!r} takes facts from documents alone, {' and '.join(RECALLING_PROGRAMS)} read a "
            "memory. Ask one of them, or leave memory out."
        )


def recalled(entries: Sequence[Memory], question: str) -> str:
    """A line for each of the entries that share most words with the question, the newest of equals first."""
    asked = set(words(question))
    lines = sorted(map(_line, entries), key=lambda line: -len(asked.intersection(words(line))))
    return "\n".join(lines[:MAX_LINES])


def _line(entry: Memory) -> str:
    said = entry.text if entry.question is None else f"{entry.question} {entry.text}"
    return " ".join(said.split())[:LINE_CHARACTERS]
