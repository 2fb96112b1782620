"""Passages in a writer's prompt: numbered, and their code blocks named, so that a model cites and places but never
retypes them. Code that is put in by its name is exact to the letter."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.index.passages import Passage
from lakehouse.text.markdown_units import MarkdownUnit, units

CODE = "code"
_NUMBER = re.compile(r"^\[(\d{1,3})\] ", re.MULTILINE)
_NAME = re.compile(rf"^({CODE} \d{{1,3}}):$", re.MULTILINE)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced code block of a passage, with its fences."""

    text: str
    passage: Passage


@dataclass(frozen=True)
class Numbered:
    """A prompt's passages. `text`: all of them, numbered from 1; `codes`: code blocks by their names in the text."""

    passages: tuple[Passage, ...]
    text: str
    codes: dict[str, CodeBlock]


def numbered(passages: Sequence[Passage], characters: int) -> Numbered:
    """The passages as one text of at most so many characters; the last ones are left out where they do not fit."""
    parts: list[str] = []
    shown: list[Passage] = []
    codes: dict[str, CodeBlock] = {}
    left = characters
    for passage in passages:
        named = {f"{CODE} {len(codes) + at}": unit for at, unit in enumerate(_codes(passage), start=1)}
        text = passage.text
        for name, unit in named.items():
            text = text.replace(unit.text, f"{name}:\n{unit.text}", 1)
        title = " > ".join(dict.fromkeys(part for part in (passage.title, passage.heading) if part))
        part = f"[{len(shown) + 1}] {title}\n{_NUMBER.sub(r'(\1) ', text)}"
        if shown and len(part) > left:
            break
        left -= len(part)
        parts.append(part)
        shown.append(passage)
        codes |= {name: CodeBlock(unit.text, passage) for name, unit in named.items()}
    return Numbered(tuple(shown), "\n\n".join(parts), codes)


def passage_numbers(text: str) -> list[str]:
    """The numbers of the passages in a prompt's text, in their order."""
    return list(dict.fromkeys(_NUMBER.findall(text)))


def code_names(text: str) -> list[str]:
    """The names of the code blocks in a prompt's text, in their order."""
    return list(dict.fromkeys(_NAME.findall(text)))


def _codes(passage: Passage) -> list[MarkdownUnit]:
    return [unit for unit in units(passage.text) if unit.kind == "code"]
