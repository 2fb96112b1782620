"""A text of several questions: each is answered by itself, and the answers stand below one another."""

from collections.abc import Awaitable, Callable, Sequence

from agents.answer import NOTHING_FOUND, Citation, Statement
from agents.reading.answerability import NothingFound
from agents.task.task import Task

MOST_QUESTIONS = 3  # a longer text is one question: its parts would share the task's budget


async def answer_each(task: Task, questions: Sequence[str], answer: Callable[[str], Awaitable[str]]) -> str:
    """Answer the questions in their order by `answer`. Raises NothingFound where none of them has an answer."""
    texts: list[str] = []
    citations: list[Citation] = []
    statements: list[Statement] = []
    dropped: list[str] = []
    for question in questions:
        try:
            text = await answer(question)
        except NothingFound:
            texts.append(f"{question}\n{NOTHING_FOUND}")
            continue
        texts.append(f"{question}\n{text}")
        said = task.statements or [Statement(text=text, citations=list(range(len(task.citations))))]
        statements += [
            Statement(text=one.text, citations=[len(citations) + place for place in one.citations]) for one in said
        ]
        citations += task.citations
        dropped += task.dropped
    if not statements:
        raise NothingFound("no passage that was found answers any of the questions")
    combined = "\n\n".join(texts)
    await task.propose(combined, citations, statements, dropped)
    return combined
