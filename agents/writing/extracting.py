"""Answers for a model that cannot write: pieces of the passages as they stand, chosen by their words.

No model is asked. Every piece is a quote, so that nothing in it is unsupported and its code is exact. Where the
question names documents, pieces come from these alone: another one that shares its words is not what was asked about.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.answer import Citation, Form
from agents.reading.answerability import names_a_document
from agents.writing.checking import Checked
from agents.writing.evidence import Subject, subject_terms
from lakehouse.index.passages import Passage
from lakehouse.text.markdown_units import MarkdownUnit, units
from lakehouse.text.mentions import is_mentioned, quote_of, without
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import terms

READ = 5  # passages among which the best pieces are sought; of a list, all
SENTENCES = 3  # of an explanation
PIECES = 8  # of steps; a longer instruction is better read in its document
ITEMS = 40
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)")
_UNSAID = ("code", "heading", "header")
_WRAPPED = re.compile(r"(?<![.!?:。！？\s])[ \t]*\n[ \t]*(?=\S)")  # a line break inside a sentence
_IS = re.compile(r"\W*[\w.-]+\W+(?:is|are|was|provides|offers|ist|sind|est|sont|es|son)\b", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+")


@dataclass(frozen=True)
class Piece:
    """A quotable piece of a passage. `score`: how many of the question's terms it holds, its document's name
    aside, and a part for a definition; `place`: its number in the passage."""

    passage: Passage
    text: str
    score: float
    place: int
    unit: MarkdownUnit

    @property
    def citation(self) -> Citation:
        """The piece as its passage writes it, line breaks and all."""
        return Citation.of(self.passage, quote_of(self.text, self.passage.text) or self.unit.text)


def extract(form: Form, subject: Subject, passages: Sequence[Passage]) -> tuple[Form, Checked]:
    """The pieces of the best passages that fit the form, else an explanation; no statements where none fit."""
    named = [passage for passage in passages if names_a_document(subject.question, [passage])]
    about = named or [passage for passage in passages if _covers(passage, subject.question)]
    result = Checked()
    if form == "comparison" and subject.sides:
        _both_sides(result, subject, passages)
    elif form == "list":
        _items(result, subject, about)
    elif form == "steps":
        _steps(result, subject, about[:READ])
    if result.statements:
        return form, result
    _sentences(result, subject.question, about[:READ])
    return "explanation", result


def readable(unit: MarkdownUnit, text: str) -> str:
    """A piece in one line without its bullet, the targets of its links and the pipes of its row; code as it is."""
    if unit.kind == "code":
        return textwrap.dedent(text)
    line = " ".join(_LINK.sub(r"\1", text).split())
    if unit.kind in ("row", "header"):
        return ", ".join(cell.strip() for cell in line.strip("|").split("|") if cell.strip())
    return _BULLET.sub("", line).lstrip("#> ")


def _both_sides(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    neither = without_all(subject.sides, subject.question)
    for side in subject.sides:
        about = [one for one in passages if is_mentioned(side, f"{one.title}\n{one.heading}")][:READ]
        for best in _ranked(f"{side} {neither}", about)[:1]:
            result.keep(f"{side} | {readable(best.unit, best.text)}", best.citation)


def _items(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    """The list or table that the question's words lead to, else every sentence that has most of these words."""
    lists = [(passage, [unit for unit in units(passage.text) if unit.kind in ("item", "row")]) for passage in passages]
    with_items = [(passage, items) for passage, items in lists[:READ] if len(items) > 1]
    sentences_ = _ranked(subject.question, passages)
    most = max((piece.score for piece in sentences_), default=0)
    led_to = [
        (lead, passage, items)
        for passage, items in with_items
        if (lead := _shared(subject.question, f"{passage.title}\n{passage.heading}\n{_before_list(passage)}")) >= most
    ]
    if led_to:
        _, passage, items = max(led_to, key=lambda one: one[0])
        for item in items[:ITEMS]:
            result.keep(readable(item, item.text), Citation.of(passage, item.text))
    elif most > 1:
        for piece in [piece for piece in sentences_ if piece.score == most][:ITEMS]:
            result.keep(readable(piece.unit, piece.text), piece.citation)


def without_all(names: Sequence[str], text: str) -> str:
    """The text without the names."""
    for name in names:
        text = without(name, text)
    return text


def _before_list(passage: Passage) -> str:
    """The text above the first item."""
    above: list[str] = []
    for unit in units(passage.text):
        if unit.kind in ("item", "row"):
            break
        above.append(unit.text)
    return "\n".join(above)


def _steps(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    """The numbered instructions or the code that the question's words lead to, with the text before each."""
    groups = [group for passage in passages for group in _instructions(passage)]
    wanted = subject.question
    scored = [(_shared(wanted, "\n".join(unit.text for unit in pieces)), passage, pieces) for passage, pieces in groups]
    if not scored:
        return
    _, passage, pieces = max(scored, key=lambda one: one[0])
    for unit in pieces[:PIECES]:
        result.keep(readable(unit, unit.text), Citation.of(passage, unit.text))


def _instructions(passage: Passage) -> Iterator[tuple[Passage, list[MarkdownUnit]]]:
    """Successive numbered items and code blocks, with the line that leads to them."""
    pieces: list[MarkdownUnit] = []
    lead: MarkdownUnit | None = None
    for unit in units(passage.text):
        if unit.kind == "code" or unit.is_ordered:
            pieces += [lead, unit] if lead else [unit]
            lead = None
            continue
        if pieces and unit.kind == "heading":
            yield passage, pieces
            pieces = []
        lead = unit if unit.kind in ("text", "item") else None
    if pieces:
        yield passage, pieces


def _sentences(result: Checked, question: str, passages: Sequence[Passage]) -> None:
    """The best sentences, as they follow one another in their passages."""
    best = _ranked(question, passages)[:SENTENCES]
    least = best[0].score / 2 if best else 0
    chosen = [piece for piece in best if piece.score >= least]
    order = {passage.chunk_id: at for at, passage in enumerate(passages)}
    for piece in sorted(chosen, key=lambda one: (order[one.passage.chunk_id], one.place)):
        result.keep(readable(piece.unit, piece.text), piece.citation)


def _ranked(question: str, passages: Sequence[Passage]) -> list[Piece]:
    """The sentences that share a term with the question, the best first.

    A question on a document as a whole (*what is anyio for*) has no other term than its name: then the sentences that
    begin with the name say what it is.
    """
    wanted = subject_terms(question)
    pieces = [piece for passage in passages for piece in _pieces(wanted, passage)]
    return sorted((piece for piece in pieces if piece.score > 0), key=lambda piece: -piece.score)


def _pieces(wanted: set[str], passage: Passage) -> Iterator[Piece]:
    name_terms = set(terms(passage.title))
    others = wanted - name_terms
    is_named = bool(wanted & name_terms)
    said = [(unit, text) for unit in units(passage.text) if unit.kind not in _UNSAID for text in _said(unit)]
    for place, (unit, text) in enumerate(said):
        begins = is_named and terms(text)[:1] == terms(passage.title)[:1]
        defines = begins and _IS.match(text) is not None
        yield Piece(passage, text, len(others & set(terms(text))) + (begins + defines) / 4, place, unit)


def _said(unit: MarkdownUnit) -> list[str]:
    """The sentences of a paragraph or an item, over the line breaks inside them; a row as it is."""
    if unit.kind == "row":
        return [unit.text]
    lines = _WRAPPED.sub(" ", unit.text).splitlines()
    return [sentence.strip() for line in lines for sentence in sentences(line)]


def _covers(passage: Passage, question: str) -> bool:
    """Whether a passage holds most of the question's terms; no model will judge whether it is about them."""
    wanted = subject_terms(question)
    return 2 * len(wanted & set(terms(f"{passage.title}\n{passage.heading}\n{passage.text}"))) > len(wanted)


def _shared(question: str, text: str) -> int:
    return len(subject_terms(question) & set(terms(text)))
