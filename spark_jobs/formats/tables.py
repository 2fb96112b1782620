"""Tables: rows of any format as Markdown, and files of delimited text (CSV, TSV).

Every reader of tables gives its rows to `markdown_table`, so that a table looks the same whatever it came from.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.encodings import decode
from spark_jobs.formats.format import Format

_MAX_HEADER_CHARACTERS = 400
"""Each chunk of a table repeats its header; a longer one would leave no room for rows."""
_TRIED_CHARACTERS = 1_000_000  # reading them in each dialect takes about a second
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[-+(]?\W?\d[\d.,' \u00a0\u202f]*\W{0,2}")
_NAMED_DELIMITER = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # the first line that Excel reads and hides


def read_delimited(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    """A table in the dialect that reads the file as the most regular one."""
    text = decode(file.read())
    csv.field_size_limit(limits.document_bytes)
    named = _NAMED_DELIMITER.match(text)
    if named:
        text = text[named.end() :]
    dialect = _dialect(text, named[1] if named else _DELIMITERS)
    return ExtractedText(markdown_table(_records(text, dialect), limits.document_bytes), "")


def _records(text: str, dialect: dict[str, Any]) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, **dialect)


def _dialect(text: str, delimiters: str) -> dict[str, Any]:
    """The dialect of the most regular table; one column where no delimiter gives rows of one width."""
    tried = text[:_TRIED_CHARACTERS]
    if len(text) > _TRIED_CHARACTERS:
        tried = tried[: tried.rfind("\n") + 1]
    quotes: list[dict[str, Any]] = [{}]
    quotes += [{"quoting": csv.QUOTE_NONE}] * ('"' in tried)
    quotes += [{"escapechar": "\\"}] * ('\\"' in tried)
    quotes += [{"quotechar": "'"}] * (tried.count("'") > 1)
    dialects = [{"delimiter": delimiter, **quote} for quote in quotes for delimiter in delimiters if delimiter in tried]
    # stable: of equals, the one with the standard's quotes stays the first
    by_share = sorted(((_regular_share(tried, dialect), dialect) for dialect in dialects), key=lambda pair: -pair[0])
    best, best_score = {"delimiter": delimiters[0]}, 0.0
    for share, dialect in by_share:
        if share <= best_score:
            break
        score = share * (0.5 + 0.5 * _whole_share(tried, dialect))
        if score > best_score:
            best, best_score = dialect, score
    return best


def _regular_share(text: str, dialect: dict[str, Any]) -> float:
    """The share of rows that have the most frequent width; 0 for a single column."""
    try:
        widths = Counter(len(row) for row in _records(text, dialect) if any(row))
    except csv.Error:
        return 0
    if not widths:
        return 0
    width, rows = widths.most_common(1)[0]
    is_quoted = dialect.get("quoting") != csv.QUOTE_NONE
    return 0 if width == 1 else rows / widths.total() * (1 if is_quoted else 0.9)


def _whole_share(text: str, dialect: dict[str, Any]) -> float:
    """The share of cells that look whole: `10,50` is one cell, `QX-1000;10` looks like two."""
    others = re.compile(f"[{_DELIMITERS.replace(dialect['delimiter'], '')}]")
    cells = [cell for row in _records(text, dialect) for cell in row if cell]
    return sum(not others.search(cell) or bool(_NUMBER.fullmatch(cell)) for cell in cells) / len(cells)


def markdown_table(rows: Iterable[Sequence[str]], max_characters: int, header_rows: int = 1) -> str:
    """Rows as a Markdown table, the first row as its header, or the first `header_rows` made one.

    Rows of one cell above a wider table are its title and stand before it as text. Empty rows, and empty cells at a
    row's end, are dropped. Where the header is long, each row becomes an item of a list that names its columns.

    Raises `Refused` as soon as the table exceeds `max_characters`, before the remaining rows are read.
    """
    header: list[str] = []
    titles: list[str] = []
    lines: list[str] = []
    width = size = 0
    for number, row in enumerate(rows):
        cells = [" ".join(cell.split()) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        if not header and len(set(filter(None, cells))) == 1:
            titles.append(next(filter(None, cells)))
            line = titles[-1]
        elif not lines and (not header or number < header_rows):
            header = [" ".join(dict.fromkeys(filter(None, pair))) for pair in zip_longest(header, cells, fillvalue="")]
            line = ""
        else:
            line = _line(header, cells)
            lines.append(line)
        width = max(width, len(cells))
        size += len(line)
        if size > max_characters:
            raise Refused(
                f"oversize: a table of over {size:,} characters, at most {max_characters:,} are allowed. "
                "Split it into files of fewer rows."
            )
    return _assembled(titles, header, lines, width)


def _assembled(titles: list[str], header: list[str], lines: list[str], width: int) -> str:
    if not header:  # a single column
        header, lines, titles, width = titles[:1], [_pipes([cell]) for cell in titles[1:]], [], 1
    if not header:
        return ""
    top = ["Columns: " + "; ".join(header), ""] if _is_long(header) else [_pipes(header), "|" + " --- |" * width]
    return "\n".join([*(f"{title}\n" for title in titles), *top, *lines])


def _line(header: Sequence[str], cells: Sequence[str]) -> str:
    if not _is_long(header):
        return _pipes(cells)
    return "- " + named_cells(pair for pair in zip_longest(header, cells, fillvalue="") if pair[1])


def _is_long(header: Sequence[str]) -> bool:
    return sum(map(len, header)) + 3 * len(header) > _MAX_HEADER_CHARACTERS


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def named_cells(pairs: Iterable[tuple[str, str]]) -> str:
    """A row as pairs of column and cell: `Description: Number of replicas.; Default Value: 3`."""
    return "; ".join(f"{name}: {cell}".strip() if name else cell for name, cell in pairs)


FORMATS = (Format("table", (".csv", ".tsv"), read_delimited, media_types=("text/csv", "text/tab-separated-values")),)
