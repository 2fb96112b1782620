"""The order in which `multihop` reads passages, and the facts that it has noted.

The model does not choose the order. Retrieval knows better which of eight names a question means: its first was right
in 59 of 64 questions, while a model of 135M parameters chose rightly in 4 of 14.
"""

from collections.abc import Iterable, Iterator

from agents.answer import Citation
from agents.reading.citations import cite
from agents.reading.confidence import is_needed, is_unlikely, may_be_needed
from lakehouse.index.passages import Passage
from lakehouse.text.folding import alike, folded, plain
from lakehouse.text.mentions import is_mentioned, longest_mentioned, names_in, set_side_by_side, without
from lakehouse.text.names import without_parenthesis
from lakehouse.text.sentences import short_sentences

LIKELY_TITLES = 5  # of the passages that the rest of the question finds; further down is noise
EXTRA_READS = 2  # passages read beyond the needed ones, where a passage holds no fact


class ReadingOrder:
    """From the passage with which the question begins to the passages that it leads to.

    `start`: that first passage; None without passages. `named`: the title that the question names, at most one.
    `missing`: the question without that title. `facts`: each with its passage, in the order noted.
    """

    def __init__(self, question: str, passages: list[Passage]) -> None:
        self.question = question
        self.hop = 1
        self.facts: list[tuple[Passage, str]] = []
        title = longest_mentioned((passage.title for passage in passages), question)
        self.named = [title] if title else []
        self.missing = without(title, question) if title else question
        self.passages = list(passages)
        self._candidates = sorted(passages, key=lambda passage: self._merit(passage, title), reverse=True)
        self.start = self._candidates[0] if passages else None
        self._needed = 1
        self._looked_up = False

    @property
    def linked_from_start(self) -> list[Passage]:
        """Passages that the search reached from the first one, the likeliest first; none where it gives no paths."""
        start = self.start.chunk_id if self.start else ""
        return [
            passage
            for passage in self.passages
            if passage.path and passage.path[-1].chunk_id == start and not is_unlikely(passage)
        ]

    @property
    def compared(self) -> list[Passage]:
        """The best passage of each document that the question sets side by side; none where it compares nothing."""
        best: dict[str, Passage] = {}
        for passage in self.passages:
            best.setdefault(without_parenthesis(passage.title), passage)
        return [best[name] for name in set_side_by_side(best, self.question)]

    @property
    def chain(self) -> list[Passage]:
        """The best passage of each document that may be needed, where the search is confident of one of them.

        None where that is a single document: then the names in it lead further.
        """
        best: dict[str, Passage] = {}
        for passage in self.passages:
            if may_be_needed(passage):
                best.setdefault(passage.doc_id, passage)
        return list(best.values()) if len(best) > 1 and any(map(is_needed, best.values())) else []

    def names_to_look_up(self, passages: list[Passage]) -> list[str]:
        """Names in the first passage: first the titles of `passages`, found by the rest of the question; then all
        others as they stand in its text."""
        if not self.start:
            return []
        text, own_title = self.start.text, self.start.title
        likely = [passage.title for passage in passages[:LIKELY_TITLES] if is_mentioned(passage.title, text)]
        titles = {passage.title for passage in [*passages, *self.passages] if is_mentioned(passage.title, text)}
        searched = folded(plain(text))
        in_order = sorted({*titles, *names_in(text)}, key=lambda name: (searched.find(folded(plain(name))), -len(name)))
        return _distinct(name for name in [*likely, *in_order] if not alike(name, own_title))

    def follow(self, look_ups: list[Passage], needed: int) -> None:
        """Read the looked-up passages next, until `needed` facts are noted; change nothing without look-ups."""
        if look_ups and self.start:
            self._needed, self._looked_up = needed, True
            self._candidates = look_ups if needed == 1 else _enumerated_first(look_ups, self.start.text)

    def subject_of(self, passage: Passage) -> str:
        """The subject of a passage: its title where it was looked up by name, else the title in the question."""
        return passage.title if self._looked_up else "".join(self.named)

    def passages_to_read(self) -> Iterator[Passage]:
        """Passages one by one, until as many facts are noted as were needed, or nothing likely is left."""
        for number, passage in enumerate(self._unlikely_last()[: self._needed + EXTRA_READS]):
            if len(self.facts) < self._needed and (number < self._needed or not is_unlikely(passage)):
                yield passage

    def citations(self) -> list[Citation]:
        """A citation of each fact."""
        return cite(self.question, *((fact, [passage]) for passage, fact in self.facts))

    def _unlikely_last(self) -> list[Passage]:
        """The candidates in their order, with those last that the first search gives a low probability."""
        first_search = {passage.chunk_id: passage for passage in self.passages}
        candidates = [first_search.get(passage.chunk_id, passage) for passage in self._candidates]
        return sorted(candidates, key=is_unlikely)

    def _merit(self, passage: Passage, title: str | None) -> tuple[bool, bool]:
        """Whether its title is in the question; then, whether it mentions another found document."""
        other_titles = {other.title for other in self.passages if other.title != passage.title}
        return passage.title == title, any(is_mentioned(other, passage.text) for other in other_titles)


def _enumerated_first(passages: list[Passage], text: str) -> list[Passage]:
    """First the passages whose titles stand in one sentence, the sentence with most of them: it is an enumeration."""
    by_sentence = [
        [passage for passage in passages if is_mentioned(passage.title, sentence)] for sentence in short_sentences(text)
    ]
    together = max(by_sentence, key=len, default=[])
    return together + [passage for passage in passages if passage not in together]


def _distinct(names: Iterable[str]) -> list[str]:
    """The first spelling of each name; capitals and accents do not count."""
    spellings: dict[str, str] = {}
    for name in names:
        spellings.setdefault(folded(plain(name)), name)
    return list(spellings.values())
