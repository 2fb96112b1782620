"""Statements as an answer in Markdown: running text, a list, numbered steps with their code, or a table."""

from collections.abc import Sequence

from agents.answer import Form, Statement

_FENCES = ("```", "~~~")


def compose(form: Form, statements: Sequence[Statement], sides: Sequence[str] = ()) -> str:
    """The answer's text. `sides`: the header of a comparison's columns."""
    texts = [statement.text for statement in statements]
    if form == "list":
        return "\n".join(f"- {text}" for text in texts)
    if form == "steps":
        return _numbered(texts)
    if form == "comparison" and any(" | " in text for text in texts):
        return _table(texts, sides)
    return " ".join(map(_sentence, texts))


def is_code(text: str) -> bool:
    """Whether a statement is a code block."""
    return text.lstrip().startswith(_FENCES)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":", "。", "！", "？")) else f"{text}."


def _numbered(texts: Sequence[str]) -> str:
    lines, number = [], 0
    for text in texts:
        if is_code(text):
            lines.append(text)
        else:
            number += 1
            lines.append(f"{number}. {text}")
    return "\n".join(lines)


def _table(rows: Sequence[str], sides: Sequence[str]) -> str:
    width = max(row.count(" | ") for row in rows) + 1
    header = ["", *sides] if len(sides) + 1 == width else [""] * width
    lines = [" | ".join(header), " | ".join(["---"] * width), *rows]
    return "\n".join(f"| {line.strip()} |" for line in lines)
