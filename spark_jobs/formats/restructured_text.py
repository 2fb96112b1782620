"""reStructuredText with its section titles, code and comments as Markdown; other markup stays as it is written.

Docutils is not used: it drops what directives and roles that it does not know hold, as those of Sphinx.
"""

import re
from collections.abc import Sequence

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.source_code import fenced
from spark_jobs.formats.text import text_format, without_data

_ADORNMENT = re.compile(r"""([!-/:-@[-`{-~])\1*\s*""")
_CODE = re.compile(r"(\s*)\.\. (?:code-block|code|sourcecode|parsed-literal|highlight)::[ \t]*([\w+#.-]*)\s*")
_LITERAL = re.compile(r"(\s*)(.*\S)?::\s*")
_OPTION = re.compile(r"\s*:[\w-]+:.*")
_AUTHOR = re.compile(r"^:author:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)


def read_restructured_text(text: str) -> ExtractedText:
    author = _AUTHOR.search(text)
    return ExtractedText(without_data(rst_to_markdown(text)), author=author and author[1].strip())


def rst_to_markdown(rst: str) -> str:
    """Section titles as headings. Left alone, an underline of `~` opens a code block to the end of the file."""
    lines = rst.expandtabs().splitlines()
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
        elif block := _CODE.fullmatch(over) or _LITERAL.fullmatch(over):
            number = _append_code(lines, number + 1, block, markdown)
            continue
        else:
            markdown.append(lines[number])
            number += 1
            continue
        level = levels.setdefault(style, min(len(levels) + 1, 6))
        markdown.append(f"{'#' * level} {title.strip()}")
        number += line_count
    return "\n".join(markdown)


def _append_code(lines: Sequence[str], number: int, opening: re.Match[str], markdown: list[str]) -> int:
    """Append the indented lines below as a fenced block; return the number of the line behind them."""
    indent, end = len(opening[1]), number
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    code = list(lines[number:end])
    is_directive = opening.re is _CODE
    while is_directive and code and _OPTION.fullmatch(code[0]):
        code.pop(0)
    if not is_directive:
        directive = (opening[2] or "").startswith("..")  # `.. note::` holds text, and not code
        markdown.append(opening[0].rstrip() if directive or not any(map(str.strip, code)) else _lead(opening))
        if directive:
            return number
    margin = min((len(line) - len(line.lstrip()) for line in code if line.strip()), default=0)
    block = fenced("\n".join(line[margin:] for line in code).strip("\n"), opening[2] if is_directive else "")
    markdown += ["", *block.splitlines(), ""] if block else []
    return end


def _lead(opening: re.Match[str]) -> str:
    """The text before the code: `Run it::` reads `Run it:`."""
    return f"{opening[1]}{opening[2]}:" if opening[2] else ""


def _is_adornment(line: str) -> bool:
    return len(line) >= 2 and _ADORNMENT.fullmatch(line) is not None


FORMATS = (text_format("reStructuredText", (".rst", ".rest"), read_restructured_text, ("text/x-rst",)),)
