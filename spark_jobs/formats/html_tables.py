"""HTML tables in Markdown as lists: tags are most of such a table, and say nothing to a search or a reader.

A row becomes one item, each cell under its column's header, so that it says what it means wherever its document is cut:
`- Description: Number of replicas.; Default Value: 3`. A table that can't be read whole stays as it was written: one
without an end, with code, or with text outside its cells. So no word is ever lost, and the same text gives the same.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from itertools import chain, takewhile, zip_longest
from typing import Any

from bs4 import BeautifulSoup, Tag
from markdownify import MarkdownConverter

from spark_jobs.formats.markdown_blocks import code_spans

MAX_CHARACTERS = 1_000_000
"""Of one table; it takes some ten times as much memory while it is read."""
_MAX_COLUMNS = 100
_MAX_ROWS_SPANNED = 50
_MAX_REPEATED = 200
"""Characters of a cell that is said in every row that it spans."""
_MAX_GROWTH = 4
"""A header is said in every row: a table that would become longer than this many times itself stays as it is."""
_TAG = re.compile(r"(?P<line>^[ \t]*)?<(?P<close>/?)table\b[^<>]*>", re.MULTILINE | re.IGNORECASE)
_CODE = re.compile(r"<pre\b|```|~~~", re.IGNORECASE)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")
# `{% page "/slack/" %}` and `{{ site.url }}`: their quotes would end the attribute that they stand in.
_TEMPLATE = re.compile(r"\{%[^{}%]{0,500}%\}|\{\{[^{}]{0,500}\}\}")
_SENTENCE_ENDS = (".", "!", "?", ":", ";")
_STAND_IN = "\ue000"
_STAND_INS = re.compile(rf"{_STAND_IN}(\d+){_STAND_IN}")


class _Unreadable(Exception):
    """Of a table that stays as it was written."""


def tables_as_lists(markdown: str) -> str:
    """The text with its HTML tables as lists. Those in code, and those that can't be read whole, stay as they are."""
    parts, end = [], 0
    for start, until, indent in _tables(markdown):
        lines = _lines(markdown[start:until])
        if lines:
            before = "" if markdown.endswith(("\n\n", "\r\n\r\n"), 0, start) else "\n"
            after = "" if markdown.startswith(("\n\n", "\r\n\r\n"), until) else "\n"
            parts += [markdown[end:start], before, "\n".join(f"{indent}- {line}" for line in lines), after]
            end = until
    return "".join([*parts, markdown[end:]])


def _tables(markdown: str) -> Iterator[tuple[int, int, str]]:
    """Outermost tables that begin a line outside code: where they begin and end, and the blanks before them."""
    code = sorted(code_spans(markdown))
    begins = [begin for begin, _ in code]

    def is_code(offset: int) -> bool:
        number = bisect_right(begins, offset) - 1
        return number >= 0 and offset < code[number][1]

    depth, start, indent = 0, 0, ""
    for tag in _TAG.finditer(markdown):
        if depth and tag["close"]:
            depth -= 1
            if not depth:
                yield start, tag.end(), indent
        elif depth:
            depth += 1
        elif not tag["close"] and tag["line"] is not None and not is_code(tag.end() - 1):
            depth, start, indent = 1, tag.start(), tag["line"]


def _lines(html: str) -> list[str]:
    """A table's caption and rows as lines of text; none where some of it would be lost."""
    if len(html) > MAX_CHARACTERS or _CODE.search(html) or _STAND_IN in html:
        return []
    templates: list[str] = []

    def stand_in(match: re.Match[str]) -> str:
        templates.append(match[0])
        return f"{_STAND_IN}{len(templates) - 1}{_STAND_IN}"

    try:
        lines = _read(_TEMPLATE.sub(stand_in, _without_comments(html)))
    except (RecursionError, _Unreadable):
        return []
    return [_STAND_INS.sub(lambda match: templates[int(match[1])], line) for line in lines]


def _without_comments(html: str) -> str:
    """By hand, for a search by pattern would begin anew at each comment that has no end."""
    parts, end = [], 0
    while (start := html.find("<!--", end)) >= 0 and (until := html.find("-->", start)) >= 0:
        parts.append(html[end:start])
        end = until + 3
    return "".join([*parts, html[end:]])


def _read(html: str) -> list[str]:
    table = BeautifulSoup(html, "lxml").find("table")
    if not isinstance(table, Tag):
        raise _Unreadable
    captions, rows = _parts(table, "caption"), [_parts(row, "td", "th") for row in _parts(table, "tr")]
    if not _is_all(html, [*captions, *chain.from_iterable(rows)]):
        raise _Unreadable
    lines, room = [], _MAX_GROWTH * len(html)
    for line in chain(map(_text, captions), _as_lines(rows)):
        room -= len(line)
        if room < 0:
            raise _Unreadable
        if line:
            lines.append(line)
    return lines


def _parts(inside: Tag, *names: str) -> list[Tag]:
    """The captions or rows of a table, or the cells of a row; not those of a table within it."""
    holders = [inside, *inside.find_all(["thead", "tbody", "tfoot"], recursive=False)]
    return [part for holder in holders for part in holder.find_all(names, recursive=False)]


def _is_all(html: str, parts: Sequence[Tag]) -> bool:
    """Whether these parts hold all text of a table."""
    read = "".join("".join(part.get_text().split()) for part in parts)
    return read == "".join(unescape(_MARKUP.sub("", html)).split())


def _as_lines(rows: Sequence[Sequence[Tag]]) -> Iterator[str]:
    heads = sum(1 for _ in takewhile(_is_header, rows))
    grid = _grid(rows)
    columns = zip_longest(*(next(grid) for _ in range(heads)), fillvalue="")
    headers = [" ".join(dict.fromkeys(filter(None, column))) for column in columns]
    if heads == len(rows):
        yield "; ".join(filter(None, headers))
    for row in grid:
        if not heads and len(row) == 2 and all(row):  # a name and its value
            yield f"{row[0].removesuffix(':')}: {row[1]}"
        elif any(row):
            cells = zip_longest(headers, row, fillvalue="")
            yield "; ".join(f"{head}: {cell}".strip() if head else cell for head, cell in cells if head or cell)


def _is_header(row: Sequence[Tag]) -> bool:
    return bool(row) and all(cell.name == "th" for cell in row)


def _grid(rows: Iterable[Sequence[Tag]]) -> Iterator[list[str]]:
    """Texts by row and column. What spans rows is said in each; what spans columns in the first, headers in each."""
    hanging: dict[int, tuple[str, int]] = {}
    for row in rows:
        line: list[str] = []
        for cell in [*row, None]:
            while len(line) in hanging:
                text, left = hanging.pop(len(line))
                if left > 1:
                    hanging[len(line)] = text, left - 1
                line.append(text)
            if cell is not None:
                text = _text(cell)
                wide, high = _span(cell, "colspan", _MAX_COLUMNS), _span(cell, "rowspan", _MAX_ROWS_SPANNED)
                texts = [text, *[text if _is_header(row) else ""] * (wide - 1)]
                if high > 1:
                    repeated = ((one if len(one) <= _MAX_REPEATED else "", high - 1) for one in texts)
                    hanging |= dict(enumerate(repeated, start=len(line)))
                line += texts
        if len(line) > _MAX_COLUMNS:
            raise _Unreadable
        yield line


def _span(cell: Tag, name: str, most: int) -> int:
    given = str(cell.get(name, "1")).strip()
    return min(int(given), most) if given.isdecimal() and len(given) < 9 and int(given) else 1


def _text(cell: Tag) -> str:
    """What stands in a cell, as one line of Markdown."""
    return " ".join(_CELL.convert_soup(cell).split()).strip(" ;")


class _CellConverter(MarkdownConverter):
    """Markdown on one line: list items and cells of a table within the cell are parted by semicolons."""

    def convert_li(self, el: Any, text: str, parent_tags: Any) -> str:
        item = text.strip()
        return f"{item} " if item.endswith(_SENTENCE_ENDS) or not item else f"{item}; "

    convert_td = convert_th = convert_tr = convert_li

    def convert_table(self, el: Any, text: str, parent_tags: Any) -> str:
        return text

    def convert_caption(self, el: Any, text: str, parent_tags: Any) -> str:
        return text


_CELL = _CellConverter(escape_asterisks=False, escape_underscores=False, escape_misc=False)
