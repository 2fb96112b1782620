"""Tables of HTML: those of a page become tables of Markdown, those inside Markdown become lists.

In both, a merged cell stands in every place that it covers, so that a row keeps its meaning in any chunk.

Of an HTML table in Markdown most are tags, which tell a search nothing. A row becomes one item, each cell behind the
header of its column: `- Description: Number of replicas.; Default Value: 3`. A table stays as it was written where its
words could be lost: a table without an end, with code, or with text outside its cells. The same text always gives the
same lists.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import unescape
from itertools import chain, takewhile, zip_longest
from typing import Any

from bs4 import BeautifulSoup, Tag
from markdownify import ATX, MarkdownConverter

from spark_jobs.formats.document import Refused
from spark_jobs.formats.markdown_blocks import code_spans
from spark_jobs.formats.tables import markdown_table, named_cells

MAX_CHARACTERS = 1_000_000
"""Of one table; reading it takes some ten times as much memory."""
MAX_PAGE_TABLE_CHARACTERS = 10_000_000
_MAX_COLUMNS = 100
_MAX_GRID_COLUMNS = 16_384  # as many as a spreadsheet has
_MAX_ROWS_SPANNED = 50
_MAX_REPEATED = 200
"""Characters of a cell that is repeated in every row that it spans; a longer cell is written once."""
_MAX_GROWTH = 4
"""Headers are repeated in every row: a table that would grow by more than this factor stays as it is."""
_TAG = re.compile(r"(?P<line>^[ \t]*)?<(?P<close>/?)table\b[^<>]*>", re.MULTILINE | re.IGNORECASE)
_CODE = re.compile(r"<pre\b|```|~~~", re.IGNORECASE)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>")
# `{% page "/slack/" %}` and `{{ site.url }}`: their quotes would end the attribute around them.
_TEMPLATE = re.compile(r"\{%[^{}%]{0,500}%\}|\{\{[^{}]{0,500}\}\}")
_SENTENCE_ENDS = (".", "!", "?", ":", ";")
_PLACEHOLDER_MARK = "\ue000"
_PLACEHOLDER = re.compile(rf"{_PLACEHOLDER_MARK}(\d+){_PLACEHOLDER_MARK}")


class _Unreadable(Exception):
    """The table stays as it was written."""


def tables_as_lists(markdown: str) -> str:
    """The text with its HTML tables as lists. Tables in code, and tables whose words could be lost, do not change."""
    pieces, end = [], 0
    for start, until, indent in _tables(markdown):
        lines = _lines(markdown[start:until])
        if lines:
            before = "" if markdown.endswith(("\n\n", "\r\n\r\n"), 0, start) else "\n"
            after = "" if markdown.startswith(("\n\n", "\r\n\r\n"), until) else "\n"
            pieces += [markdown[end:start], before, "\n".join(f"{indent}- {line}" for line in lines), after]
            end = until
    return "".join([*pieces, markdown[end:]])


def _tables(markdown: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and indent of each outermost table that begins a line outside code."""
    code = sorted(code_spans(markdown))
    starts = [start for start, _ in code]

    def is_code(offset: int) -> bool:
        number = bisect_right(starts, offset) - 1
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
    """A table's caption and rows as lines of text; empty where words would be lost."""
    if len(html) > MAX_CHARACTERS or _CODE.search(html) or _PLACEHOLDER_MARK in html:
        return []
    templates: list[str] = []

    def placeholder(match: re.Match[str]) -> str:
        templates.append(match[0])
        return f"{_PLACEHOLDER_MARK}{len(templates) - 1}{_PLACEHOLDER_MARK}"

    try:
        lines = _read(_TEMPLATE.sub(placeholder, _without_comments(html)))
    except (RecursionError, _Unreadable):
        return []
    return [_PLACEHOLDER.sub(lambda match: templates[int(match[1])], line) for line in lines]


def _without_comments(html: str) -> str:
    """Without a regular expression: it would search to the end of the text for each comment without an end."""
    pieces, end = [], 0
    while (start := html.find("<!--", end)) >= 0 and (until := html.find("-->", start)) >= 0:
        pieces.append(html[end:start])
        end = until + 3
    return "".join([*pieces, html[end:]])


def _read(html: str) -> list[str]:
    table = BeautifulSoup(html, "lxml").find("table")
    if not isinstance(table, Tag):
        raise _Unreadable
    captions, rows = _children(table, "caption"), [_children(row, "td", "th") for row in _children(table, "tr")]
    if not _hold_all_text(html, [*captions, *chain.from_iterable(rows)]):
        raise _Unreadable
    lines, characters_left = [], _MAX_GROWTH * len(html)
    for line in chain(map(_text, captions), _as_lines(rows)):
        characters_left -= len(line)
        if characters_left < 0:
            raise _Unreadable
        if line:
            lines.append(line)
    return lines


def _children(parent: Tag, *names: str) -> list[Tag]:
    """The captions or rows of a table in their order, or the cells of a row; nothing of a nested table."""
    found: list[Tag] = []
    for child in parent.find_all([*names, "thead", "tbody", "tfoot"], recursive=False):
        found += [child] if child.name in names else child.find_all(names, recursive=False)
    return found


def _hold_all_text(html: str, tags: Sequence[Tag]) -> bool:
    """Whether these tags hold all text of a table."""
    tags_text = "".join("".join(tag.get_text().split()) for tag in tags)
    return tags_text == "".join(unescape(_MARKUP.sub("", html)).split())


def _as_lines(rows: Sequence[Sequence[Tag]]) -> Iterator[str]:
    header_rows = _header_rows(rows)
    grid = _grid(rows, _text)
    columns = zip_longest(*(next(grid) for _ in range(header_rows)), fillvalue="")
    headers = [" ".join(dict.fromkeys(filter(None, column))) for column in columns]
    if header_rows == len(rows):
        yield "; ".join(filter(None, headers))
    for row in grid:
        if len(row) > _MAX_COLUMNS:
            raise _Unreadable
        if not header_rows and len(row) == 2 and all(row):  # a name and its value
            yield f"{row[0].removesuffix(':')}: {row[1]}"
        elif any(row):
            yield named_cells(pair for pair in zip_longest(headers, row, fillvalue="") if any(pair))


def _header_rows(rows: Sequence[Sequence[Tag]]) -> int:
    return sum(1 for _ in takewhile(_is_header, rows))


def _grouped_header_rows(rows: Sequence[Sequence[Tag]]) -> int:
    """How many rows at the top are titles and header, where no cell says that it is a header.

    A header has several rows where a cell of its first row spans columns, and another one spans the rows.
    """
    titles = sum(1 for _ in takewhile(lambda row: len(row) < 2, rows))
    first = rows[titles] if titles < len(rows) else ()
    has_groups = any(_span(cell, "colspan", _MAX_COLUMNS) > 1 for cell in first)
    return titles + (max(_span(cell, "rowspan", _MAX_ROWS_SPANNED) for cell in first) if has_groups else 1)


def _is_header(row: Sequence[Tag]) -> bool:
    return bool(row) and all(cell.name == "th" for cell in row)


def _grid(rows: Iterable[Sequence[Tag]], text_of: Callable[[Tag], str]) -> Iterator[list[str]]:
    """The text of each cell, row by row; a cell that spans rows or columns stands in each of them."""
    spanning: dict[int, tuple[str, int]] = {}  # by column: the text, and the rows that it still spans
    for row in rows:
        line: list[str] = []
        for cell in [*row, None]:
            while len(line) in spanning:
                text, rows_left = spanning.pop(len(line))
                if rows_left > 1:
                    spanning[len(line)] = text, rows_left - 1
                line.append(text)
            if cell is not None:
                text = text_of(cell)
                columns, rows_spanned = _span(cell, "colspan", _MAX_COLUMNS), _span(cell, "rowspan", _MAX_ROWS_SPANNED)
                repeated = text if len(text) <= _MAX_REPEATED else ""
                is_alone = len(row) == 1 and not line and not _is_header(row)  # a line across the table
                texts = [text, *["" if is_alone else repeated] * (columns - 1)]
                if rows_spanned > 1:
                    below = (repeated if piece else "" for piece in texts)
                    spanning |= {len(line) + at: (piece, rows_spanned - 1) for at, piece in enumerate(below)}
                line += texts
                if len(line) > _MAX_GRID_COLUMNS:
                    raise Refused(f"a table of over {_MAX_GRID_COLUMNS:,} columns. Split it, or save it as CSV.")
        yield line if row else []  # a row that holds nothing but cells from above says nothing new


def _span(cell: Tag, attribute: str, maximum: int) -> int:
    value = str(cell.get(attribute, "1")).strip()
    return min(int(value), maximum) if value.isdecimal() and len(value) < 9 and int(value) else 1


def _text(cell: Tag) -> str:
    """The content of a cell as one line of Markdown."""
    return " ".join(_CELL.convert_soup(cell).split()).strip(" ;")


def _list_item(text: str) -> str:
    """An item of a list that is written on one line."""
    item = text.strip()
    return f"{item} " if item.endswith(_SENTENCE_ENDS) or not item else f"{item}; "


class _CellConverter(MarkdownConverter):
    """Markdown on one line: semicolons separate list items, and the cells of a nested table."""

    def convert_li(self, el: Any, text: str, parent_tags: Any) -> str:
        return _list_item(text)

    convert_td = convert_th = convert_tr = convert_li

    def convert_table(self, el: Any, text: str, parent_tags: Any) -> str:
        return text

    def convert_caption(self, el: Any, text: str, parent_tags: Any) -> str:
        return text


_CELL = _CellConverter(escape_asterisks=False, escape_underscores=False, escape_misc=False)


class PageConverter(MarkdownConverter):
    """Markdown of a page, its tables by `markdown_table`; of text in a cell, each line break becomes a space."""

    class Options:
        escape_asterisks = escape_underscores = escape_misc = False
        heading_style = ATX
        bullets = "-"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._cells: dict[int, str] = {}  # by identity: tags are equal, and slow to hash, by their whole content

    def convert_td(self, el: Tag, text: str, parent_tags: Any) -> str:
        self._cells[id(el)] = " ".join(text.split()).strip(" ;")
        return f"{text} "

    convert_th = convert_td

    def convert_tr(self, el: Tag, text: str, parent_tags: Any) -> str:
        return text

    def convert_li(self, el: Tag, text: str, parent_tags: Any) -> str:
        if {"td", "th"} & set(parent_tags):
            return _list_item(text)
        return str(super().convert_li(el, text, parent_tags))  # type: ignore[misc]  # no stub

    def convert_table(self, el: Tag, text: str, parent_tags: Any) -> str:
        rows = [_children(row, "td", "th") for row in _children(el, "tr")]
        grid = _grid(rows, lambda cell: self._cells.get(id(cell), ""))
        if {"td", "th"} & set(parent_tags):
            header = next(grid, []) if len(rows) > 1 else []
            lines = (named_cells(pair for pair in zip_longest(header, row, fillvalue="") if pair[1]) for row in grid)
            return " " + "; ".join(filter(None, lines)) + " "
        captions = [" ".join(caption.get_text().split()) for caption in _children(el, "caption")]
        header_rows = _header_rows(rows) or _grouped_header_rows(rows)
        table = markdown_table(grid, MAX_PAGE_TABLE_CHARACTERS, header_rows)
        return "\n\n" + "\n\n".join(filter(None, [*captions, table])) + "\n\n"

    def convert_caption(self, el: Tag, text: str, parent_tags: Any) -> str:
        return ""


def unwrap_layout_tables(page: BeautifulSoup) -> None:
    """Make blocks of the tables that only arrange a page: those of one column, and those that mostly hold tables."""
    for table in page.find_all("table"):
        cells = [_children(row, "td", "th") for row in _children(table, "tr")]
        inner = table.find("table")
        is_layout = (
            table.get("role") in ("presentation", "none")
            or all(len(row) < 2 for row in cells)
            or (inner is not None and 2 * len(inner.get_text()) > len(table.get_text()))
        )
        if is_layout:
            parts = [table, *_children(table, "caption"), *_children(table, "tr"), *chain.from_iterable(cells)]
            for tag in [*parts, *table.find_all(["thead", "tbody", "tfoot", "colgroup"], recursive=False)]:
                tag.name = "div"
