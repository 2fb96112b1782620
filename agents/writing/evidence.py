"""The passages that an answer is written from, searched for hop by hop.

The loop ends when every side of a comparison and every rare word of the question is spoken of, when a hop brings
nothing new, or at the task's `max_hops`.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from agents.reading.answerability import missing_terms, names_a_document
from agents.reading.confidence import is_unlikely
from agents.reading.signatures import FOUND_PASSAGES
from agents.task.task import Task
from lakehouse.index.passages import Passage
from lakehouse.text.mentions import is_mentioned
from lakehouse.text.search_text import all_words, paired
from lakehouse.text.terms import stem, terms

_ASKING = frozenset(
    terms(
        "explain describe summary summarise summarize overview compare comparison difference differences diff versus "
        "list tell purpose give show understand mean meaning erkläre unterschied vergleiche zusammenfassung"
    )
)


@dataclass(frozen=True)
class Subject:
    """What an answer is about. `query`: what is searched for; `sides`: the two things that are compared, if any."""

    question: str
    query: str
    sides: tuple[str, ...] = ()


async def gather(task: Task, subject: Subject, found: Sequence[Passage]) -> list[Passage]:
    """The passages of the first hop and of those that it leads to, best first; sides take turns."""
    passages = {passage.chunk_id: passage for passage in found}
    asked: set[str] = set()
    for hop in range(2, task.max_hops + 1):
        queries = _open_queries(subject, list(passages.values()), asked)
        asked.update(queries)
        searched = [await task.search(query, hop=hop, k=FOUND_PASSAGES, mode="best") for query in queries]
        new = {passage.chunk_id: passage for result in searched for passage in result}
        if new.keys() <= passages.keys():
            break
        passages |= {id: passage for id, passage in new.items() if id not in passages}
    ordered = list(passages.values())
    return _by_turns(subject.sides, ordered) if subject.sides else ordered


def worth_reading(subject: Subject, passages: Iterable[Passage]) -> list[Passage]:
    """Those that are likely needed, and those of documents that the question names."""
    return [one for one in passages if not is_unlikely(one) or names_a_document(subject.question, [one])]


def subject_terms(question: str) -> set[str]:
    """The question's terms without the words that say what to do with its subject."""
    return set(terms(question)) - _ASKING


def _open_queries(subject: Subject, passages: Sequence[Passage], asked: Collection[str]) -> list[str]:
    """What to search for next: each side that no document is about, then the words that no passage speaks of."""
    missing_sides = [side for side in subject.sides if not any(_is_about(passage, side) for passage in passages)]
    if new := [side for side in missing_sides if side not in asked]:
        return new
    missing = missing_terms(passages, subject_terms(subject.query))
    words = [word for word in paired(all_words(subject.query)) if stem(word) in missing]
    query = " ".join(words)
    return [query] if query and query not in asked else []


def _is_about(passage: Passage, side: str) -> bool:
    return is_mentioned(side, f"{passage.title}\n{passage.heading}")


def _by_turns(sides: Sequence[str], passages: Sequence[Passage]) -> list[Passage]:
    """One passage about each side in turn, then the others, in their order."""
    about = [[passage for passage in passages if _is_about(passage, side)] for side in sides]
    turns = [
        passage for turn in range(max(map(len, about))) for of_side in about for passage in of_side[turn : turn + 1]
    ]
    return list({passage.chunk_id: passage for passage in (*turns, *passages)}.values())
