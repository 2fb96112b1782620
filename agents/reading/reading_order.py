"""Where a multihop task stands: what was found, which passages are read next and why, and the facts noted.

The order is not left to the model: which of eight names a question means is what retrieval is good at (the first
was right in 59 of 64 questions, where a model of 135M parameters chose rightly in 4 of 14).
"""

import re
from collections.abc import Iterable, Iterator

from agents.answer import Citation
from agents.prompting.constraints import NO, YES
from lakehouse.index.index import Passage
from lakehouse.text.mentions import (
    closest_sentence,
    is_mentioned,
    longest_mentioned,
    names_in,
    quote_of,
    set_side_by_side,
    without,
)
from lakehouse.text.names import without_parenthesis
from lakehouse.text.terms import sentences

LIKELY = 5  # of what the rest of the question finds; further down is noise
TRIES = 2  # passages read beyond those needed, when one holds nothing
NEEDED = 0.4  # a passage so likely begins the chain: docs/retrieval.md, "Confidence"
PERHAPS = 0.1  # one so likely is read with it: a third that is not leads a small model astray
UNLIKELY = 0.02  # of what questions of `hotpot_pool` need, 1 passage of 120 has a lower probability: read last
NOTHING = 0.05  # all are below it for no answerable question of the pools, and for 1 in 12 of another pool's
_SENTENCE_END = re.compile(r"[.!?。！？](?:\s|$)|\n")


class Trail:
    """From the passage that the question begins with to those that it leads to."""

    def __init__(self, question: str, found: list[Passage]) -> None:
        self.question = question
        self.hop = 1
        self.facts: list[tuple[Passage, str]] = []
        title = longest_mentioned((passage.title for passage in found), question)
        self.named = [title] if title else []
        self.missing = without(title, question) if title else question
        self.found = list(found)
        self._candidates = sorted(found, key=lambda passage: self._merit(passage, title), reverse=True)
        self.start = self._candidates[0] if found else None
        self._needed = 1
        self._looked_up = False

    @property
    def nothing_is_likely(self) -> bool:
        """Whether the search gave probabilities, and none is worth a model's reading."""
        known = [one.probability for one in self.found if one.probability is not None]
        return bool(known) and max(known) < NOTHING

    @property
    def led_to(self) -> list[Passage]:
        """Passages that the search reached through the first one, the likeliest first; none where it knows no paths."""
        start = self.start.chunk_id if self.start else ""
        return [one for one in self.found if one.path and one.path[-1].chunk_id == start and not is_unlikely(one)]

    @property
    def compared(self) -> list[Passage]:
        """The best passage of each document that the question sets side by side; none where it compares none."""
        best: dict[str, Passage] = {}
        for one in self.found:
            best.setdefault(without_parenthesis(one.title), one)
        return [best[name] for name in set_side_by_side(best, self.question)]

    @property
    def chain(self) -> list[Passage]:
        """The best passage of each document that may belong to the chain, where the search is confident of its
        beginning; none where that is of one document, for then the names in it lead further."""
        best: dict[str, Passage] = {}
        for one in self.found:
            if may_belong(one):
                best.setdefault(one.doc_id, one)
        confident = any((one.probability or 0.0) >= NEEDED for one in best.values())
        return list(best.values()) if confident and len(best) > 1 else []

    def names_to_look_up(self, found: list[Passage]) -> list[str]:
        """Names in the first passage: those that the rest of the question found, then in the order they stand there."""
        if not self.start:
            return []
        text, own = self.start.text, self.start.title.lower()
        likely = [passage.title for passage in found[:LIKELY] if is_mentioned(passage.title, text)]
        titles = {passage.title for passage in [*found, *self.found] if is_mentioned(passage.title, text)}
        standing = sorted({*titles, *names_in(text)}, key=lambda name: (text.lower().find(name.lower()), -len(name)))
        return _unlike(name for name in [*likely, *standing] if name.lower() != own)

    def follow(self, look_ups: list[Passage], needed: int) -> None:
        """Read next what was looked up, until so many facts are noted; what the question begins with if nothing was."""
        if look_ups and self.start:
            self._needed, self._looked_up = needed, True
            self._candidates = look_ups if needed == 1 else _named_together(look_ups, self.start.text)

    def subject_of(self, passage: Passage) -> str:
        """What a passage is read about: its title where it was looked up by name, else what the question names."""
        return passage.title if self._looked_up else "".join(self.named)

    def passages_to_read(self) -> Iterator[Passage]:
        """One after the other, until as many facts are noted as were needed, or nothing likely is left."""
        for number, passage in enumerate(self._likely_first()[: self._needed + TRIES]):
            if len(self.facts) < self._needed and (number < self._needed or not is_unlikely(passage)):
                yield passage

    def _likely_first(self) -> list[Passage]:
        """The candidates in their order, those that the first search thinks unlikely behind all others."""
        known = {one.chunk_id: one for one in self.found}
        judged = [known.get(one.chunk_id, one) for one in self._candidates]
        return sorted(judged, key=is_unlikely)

    def citations(self) -> list[Citation]:
        """Where each fact stands."""
        return cite(self.question, *((fact, [passage]) for passage, fact in self.facts))

    def _merit(self, passage: Passage, title: str | None) -> tuple[bool, bool]:
        """About what the question names; then, naming something else that was found."""
        others = {one.title for one in self.found if one.title != passage.title}
        return passage.title == title, any(is_mentioned(other, passage.text) for other in others)


def may_belong(passage: Passage) -> bool:
    """Whether the search thinks that a passage may be needed, so that it is worth reading beside others."""
    return (passage.probability or 0.0) >= PERHAPS


def is_unlikely(passage: Passage) -> bool:
    """Whether the search thinks that a passage is hardly worth a model's reading."""
    return passage.probability is not None and passage.probability < UNLIKELY


def cite(question: str, *facts: tuple[str, list[Passage]]) -> list[Citation]:
    """For each fact the first passage that holds it, with the words as they stand there; for one that no passage holds
    whole, the same for each of its sentences. Before a name that the question says itself, and for a yes or a no, what
    it was told from."""
    citations = []
    for fact, passages in facts:
        if fact in (YES, NO) or is_mentioned(fact, question):
            citations += _told_from(question, passages)
        if fact not in (YES, NO):
            whole = _quoted(fact, passages)
            citations += whole or [one for sentence in sentences(fact) for one in _quoted(sentence, passages)]
    return list(dict.fromkeys(citations))


def _told_from(question: str, passages: list[Passage]) -> list[Citation]:
    """Of each passage about what the question names, else of the first, the sentence that has most of the question."""
    about = [one for one in passages if is_mentioned(without_parenthesis(one.title), question)] or passages[:1]
    quotes = ((one, closest_sentence(one.text, question)) for one in about)
    return [Citation(doc_id=one.doc_id, chunk_id=one.chunk_id, quote=quote) for one, quote in quotes if quote]


def _quoted(fact: str, passages: list[Passage]) -> list[Citation]:
    quotes = ((passage, quote_of(fact, passage.text)) for passage in passages)
    return [Citation(doc_id=p.doc_id, chunk_id=p.chunk_id, quote=quote) for p, quote in quotes if quote][:1]


def _named_together(passages: list[Passage], text: str) -> list[Passage]:
    """First those whose documents one sentence names, the sentence that names most of them: they are an enumeration."""
    parts = _SENTENCE_END.split(text)
    named = [[one for one in passages if is_mentioned(one.title, part)] for part in parts]
    together = max(named, key=len)
    return together + [one for one in passages if one not in together]


def _unlike(names: Iterable[str]) -> list[str]:
    """Without names that differ in capitals only; the first of each stays."""
    by_lower: dict[str, str] = {}
    for name in names:
        by_lower.setdefault(name.lower(), name)
    return list(by_lower.values())
