"""AsciiDoc with its titles, code, lists and tables as Markdown; other markup stays as it is written."""

import re

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.markdown_blocks import first_heading
from spark_jobs.formats.source_code import fenced
from spark_jobs.formats.text import text_format

_TITLE = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+\1)?")
_ATTRIBUTE = re.compile(r":(!?[\w-]+!?):(?:[ \t]+(.*))?")
_REFERENCE = re.compile(r"\{([\w-]+)\}")
_STYLE = re.compile(r"\[(?:source|,|listing)[%\w]*(?:,[ \t]*\"?([\w+#-]+))?.*\]")
_BLOCK_ATTRIBUTES = re.compile(r"\[.*\]")
_FENCES = ("----", "....", "====", "****", "____", "++++", "////", "--", "```")
_LIST_ITEM = re.compile(r"[ \t]*([*.-]{1,5})[ \t]+(\S.*)")
_CELL = re.compile(r"(?<!\\)(?:\d+\*|[\d.]*\+)?[<^>.]*[aehlmsdv]?\|")


def read_asciidoc(text: str) -> ExtractedText:
    """The document's title is its first heading; its author is the line below, or the attribute `author`."""
    lines = text.splitlines()
    attributes: dict[str, str] = {}
    markdown: list[str] = []
    language, number = "", 0
    while number < len(lines):
        line = lines[number].rstrip()
        number += 1
        if attribute := _ATTRIBUTE.fullmatch(line):
            attributes[attribute[1]] = attribute[2] or ""
        elif style := _STYLE.fullmatch(line):
            language = style[1] or ""
        elif line.startswith("|==="):
            number, cells = _until(lines, number, line)
            markdown += ["", *_table(cells), ""]
        elif (len(line) >= 4 and line[:4] in _FENCES and line == line[0] * len(line)) or line in ("--", "```"):
            end, inside = _until(lines, number, line)
            if line[:4] in ("----", "....", "++++") or line == "```":
                markdown += fenced("\n".join(inside), language).splitlines()
                number = end
            elif line.startswith("////"):
                number = end
            language = ""
        elif title := _TITLE.fullmatch(line):
            markdown.append(f"{'#' * len(title[1])} {title[2]}")
        elif (item := _LIST_ITEM.fullmatch(line)) and not (item[1][0] == "-" and len(item[1]) > 1):
            mark = "1." if item[1][0] == "." else "-"
            markdown.append(f"{'   ' * (len(item[1]) - 1)}{mark} {item[2]}")
        elif not line.startswith("//") and not _BLOCK_ATTRIBUTES.fullmatch(line):
            markdown.append(line[1:] if re.match(r"\.\w", line) else line)  # `.Title` of a block
    text = _REFERENCE.sub(lambda name: attributes.get(name[1], name[0]), "\n".join(markdown)).strip("\n")
    return ExtractedText(text, first_heading(text), author=attributes.get("author"))


def _until(lines: list[str], number: int, fence: str) -> tuple[int, list[str]]:
    """The number of the line behind the block's end, and the lines in it; all lines where it has no end."""
    end = next((place for place in range(number, len(lines)) if lines[place].rstrip() == fence), len(lines))
    return end + 1, lines[number:end]


def _table(lines: list[str]) -> list[str]:
    """Rows of a table: a line with several cells is a row; cells on lines of their own fill the width of the first."""
    rows = [[cell.strip() for cell in _CELL.split(line)[1:]] for line in lines if line.strip()]
    width = len(rows[0]) if rows else 0
    cells = [cell for row in rows for cell in row]
    if not width or len(cells) % width:
        return [" ".join(line.split()) for line in lines]
    grid = [cells[place : place + width] for place in range(0, len(cells), width)]
    shown = ["| " + " | ".join(row) + " |" for row in grid]
    return [shown[0], "|" + " --- |" * width, *shown[1:]]


FORMATS = (text_format("AsciiDoc", (".adoc", ".asciidoc"), read_asciidoc, ("text/asciidoc",)),)
