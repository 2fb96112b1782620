"""reStructuredText with its section titles as Markdown headings; other markup stays as it is written."""

import re

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.text import text_format

_ADORNMENT = re.compile(r"""([!-/:-@[-`{-~])\1*\s*""")


def read_restructured_text(text: str) -> ExtractedText:
    return ExtractedText(rst_to_markdown(text))


def rst_to_markdown(rst: str) -> str:
    """Section titles as headings. Left alone, an underline of `~` opens a code block to the end of the file."""
    lines = rst.splitlines()
    markdown: list[str] = []
    levels: dict[tuple[str, bool], int] = {}
    number = 0
    while number < len(lines):
        over, title, under = (
            lines[number + ahead].rstrip() if number + ahead < len(lines) else "" for ahead in (0, 1, 2)
        )
        if _is_adornment(over) and over == under and title.strip() and len(title) <= len(over):
            style, line_count = (over[0], True), 3
        elif _is_adornment(title) and over.strip() and not over[0].isspace() and len(over) <= len(title):
            style, title, line_count = (title[0], False), over, 2
        else:
            markdown.append(lines[number])
            number += 1
            continue
        level = levels.setdefault(style, min(len(levels) + 1, 6))
        markdown.append(f"{'#' * level} {title.strip()}")
        number += line_count
    return "\n".join(markdown)


def _is_adornment(line: str) -> bool:
    return len(line) >= 2 and _ADORNMENT.fullmatch(line) is not None


FORMATS = (text_format("reStructuredText", (".rst",), read_restructured_text),)
