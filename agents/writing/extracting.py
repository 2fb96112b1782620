"""Answers for a model that cannot write: pieces of the passages as they stand, chosen by their words.

No model is asked. Every piece is a quote, so that nothing in it is unsupported and its code is exact.
"""

import textwrap
from collections.abc import Sequence

from agents.answer import Citation, Form
from agents.writing.checking import Checked
from agents.writing.evidence import Subject
from lakehouse.index.passages import Passage
from lakehouse.text.markdown_units import MarkdownUnit, units
from lakehouse.text.mentions import is_mentioned
from lakehouse.text.sentences import closest_sentence
from lakehouse.text.terms import terms

READ = 5  # passages among which the best pieces are sought
SENTENCES = 3  # of an explanation
PIECES = 8  # of steps; a longer instruction is better read in its document
ITEMS = 40


def extract(form: Form, subject: Subject, passages: Sequence[Passage]) -> Checked:
    """The pieces of the best passages that fit the form; no statements where none do."""
    result = Checked()
    if form == "comparison" and subject.sides:
        _both_sides(result, subject, passages)
    elif form == "list":
        _items(result, subject, passages)
    elif form == "steps":
        _steps(result, subject, passages)
    if not result.statements:
        _sentences(result, subject, passages)
    return result


def _both_sides(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    for side in subject.sides:
        about = next((one for one in passages if is_mentioned(side, f"{one.title}\n{one.heading}")), None)
        if about and (quote := closest_sentence(about.text, subject.question)):
            result.keep(f"{side} | {quote}", Citation.of(about, quote))


def _items(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    """The list whose passage has most of the question's words, if any passage has one."""
    lists = [(passage, [unit for unit in units(passage.text) if unit.kind in ("item", "row")]) for passage in passages]
    with_items = [(passage, items) for passage, items in lists[:READ] if len(items) > 1]
    if not with_items:
        return
    passage, items = max(with_items, key=lambda one: _shared(subject.question, f"{one[0].heading}\n{one[0].text}"))
    for item in items[:ITEMS]:
        result.keep(_bare(item), Citation.of(passage, item.text))


def _steps(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    """The instructions of the passage that has code or numbered steps and most of the question's words."""
    cut = [(passage, units(passage.text)) for passage in passages[:READ]]
    telling = [(passage, pieces) for passage, pieces in cut if any(_is_step(piece) for piece in pieces)]
    if not telling:
        return
    passage, pieces = max(telling, key=lambda one: _shared(subject.question, f"{one[0].title}\n{one[0].text}"))
    for at, piece in enumerate(pieces):
        leads = piece.kind in ("text", "item") and at + 1 < len(pieces) and _is_step(pieces[at + 1])
        if (_is_step(piece) or leads) and len(result.statements) < PIECES:
            text = textwrap.dedent(piece.text) if piece.kind == "code" else _bare(piece)
            result.keep(text, Citation.of(passage, piece.text))


def _sentences(result: Checked, subject: Subject, passages: Sequence[Passage]) -> None:
    for passage in passages[:SENTENCES]:
        quote = closest_sentence(passage.text, subject.question)
        if quote and _shared(subject.question, f"{passage.title}\n{quote}"):
            result.keep(_bare(MarkdownUnit("text", quote)), Citation.of(passage, quote))


def _is_step(piece: MarkdownUnit) -> bool:
    return piece.kind == "code" or (piece.kind == "item" and piece.is_ordered)


def _shared(question: str, text: str) -> int:
    return len(set(terms(question)) & set(terms(text)))


def _bare(piece: MarkdownUnit) -> str:
    """A piece without its bullet, its number or the pipes of its row, in one line."""
    text = " ".join(piece.text.split())
    if piece.kind == "row":
        return ", ".join(cell.strip() for cell in text.strip("|").split("|") if cell.strip())
    if piece.kind == "item":
        return text.partition(" ")[2] or text
    return text.lstrip("#> ")
