"""Nothing unsupported leaves: each line of a draft is held against passages, and keeps those that carry it.

A line keeps the passages that it cites where these carry it. Where they don't, another passage that the model was shown
may: then the line is right and its citation was wrong, so the citation is mended. A line that no passage carries is
dropped, and the answer says so.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.answer import Citation, Statement
from agents.writing.drafts import TYPED, Line
from agents.writing.numbered import CodeBlock, Numbered
from lakehouse.index.passages import Passage
from lakehouse.text.sentences import closest_sentence
from lakehouse.text.support import unsupported


@dataclass
class Checked:
    """What is left of a draft. `statements` hold places in `citations`."""

    statements: list[Statement] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    def keep(self, text: str, *carriers: Citation) -> None:
        """Add a statement with the citations that carry it."""
        for citation in carriers:
            if citation not in self.citations:
                self.citations.append(citation)
        self.statements.append(Statement(text=text, citations=[self.citations.index(one) for one in carriers]))


def checked(lines: Sequence[Line], shown: Numbered) -> Checked:
    """The lines that the passages shown to the model carry, with quotes from them."""
    result = Checked()
    for line in lines:
        if line.code:
            if block := _code(line, shown):
                result.keep(textwrap.dedent(block.text), Citation.of(block.passage, block.text))
            elif line.text:
                result.dropped.append(line.text)
        elif carriers := _carriers(line, shown.passages):
            quotes = ((passage, closest_sentence(passage.text, line.text)) for passage in carriers)
            result.keep(line.text, *(Citation.of(passage, quote) for passage, quote in quotes if quote))
        else:
            result.dropped.append(line.text)
    return result


def _code(line: Line, shown: Numbered) -> CodeBlock | None:
    """The block that a line names, or to the letter the one that it repeats."""
    if line.code != TYPED:
        return shown.codes.get(line.code)
    return next((block for block in shown.codes.values() if _inner(block.text) == _inner(line.text)), None)


def _inner(fenced: str) -> str:
    return textwrap.dedent("\n".join(fenced.strip("\n").splitlines()[1:-1])).strip()


def _carriers(line: Line, shown: Sequence[Passage]) -> list[Passage]:
    """The fewest passages that carry a line: a cited one, all cited ones together, or another one. Maybe none."""
    cited = [shown[number - 1] for number in line.cited if 0 < number <= len(shown)]
    others = [passage for passage in shown if passage not in cited]
    alone = [[passage] for passage in cited]
    for passages in (*alone, *([cited] if len(cited) > 1 else []), *([passage] for passage in others)):
        if _carry(passages, line.text):
            return passages
    return []


def _carry(passages: Sequence[Passage], text: str) -> bool:
    """Whether the passages state the text; of a table's row, each cell behind the first."""
    texts = [f"{passage.title}\n{passage.heading}\n{passage.text}" for passage in passages]
    claims = text.split(" | ")[1:] or [text]
    return all(unsupported(claim, texts) is None for claim in claims)
