"""The words to search by: the question without filler, and beside each misspelt word the word that is meant.

No model is called. A word is misspelt where the tenant does not know it, and knows a word that is a slip of typing
away; names with capitals inside, identifiers and short words are never touched. The typed word stays, so a wrong
guess loses nothing. The model reads the question as it was asked.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.question.wording import without_filler, written_out
from agents.task.task import Task
from lakehouse.text.folding import folded, plain

# A word between blanks, with the punctuation around it: `max_length`, `v2.4`, `queryNode` and `it's` are none.
_WORD = re.compile(r"(?<![^\s(\"'“„«¿,;:/-])(?:[^\W\d_]{4,})(?=[)\"'”“»,;:!?./-]*(?:\s|$|/|-|['’]s\b))")
_NAME_LIKE = re.compile(r".+[A-ZÀ-Ý]")


@dataclass(frozen=True)
class Mended:
    """A question and the text to search by. `corrections`: misspelt words, folded, with the words that are meant."""

    question: str
    search: str
    corrections: Mapping[str, str] = field(default_factory=dict)


async def mend(task: Task, question: str) -> Mended:
    """The question as it should be searched for; it reads the counts of the tenant's words, a few milliseconds."""
    kept = without_filler(written_out(question))
    words = {_folded(match[0]) for match in _WORD.finditer(kept) if not _NAME_LIKE.match(match[0])}
    words = {word for word in words if word.isascii() and word.isalpha()}
    if not words:
        return Mended(question, kept)
    corrections = await _corrections(task, sorted(words))
    return Mended(question, with_corrections(kept, corrections), corrections)


def with_corrections(text: str, corrections: Mapping[str, str]) -> str:
    """The text with the word that is meant after each misspelt word."""
    if not corrections:
        return text
    return _WORD.sub(lambda match: " ".join((match[0], *_meant(match[0], corrections))), text)


async def _corrections(task: Task, words: list[str]) -> dict[str, str]:
    """Read once: a task that resumes after its process died must search by the same words."""
    context = task.context

    async def read() -> dict[str, str]:
        return await asyncio.to_thread(context.deps.retriever.corrections, context.caller.tenant_id, words)

    return await context.once("spelling", read)


def _meant(word: str, corrections: Mapping[str, str]) -> list[str]:
    meant = corrections.get(_folded(word))
    return [meant] if meant else []


def _folded(word: str) -> str:
    return folded(plain(word))
