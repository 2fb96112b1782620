"""Tables of text (CSV, TSV), and rows of any source as a Markdown table."""

import csv
import io
from collections.abc import Iterable
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.text import decode_utf8

_SNIFFED_CHARACTERS = 65536


def read_delimited(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    """A table whose delimiter is `,`, `;`, a tab or `|`, found from its first rows."""
    content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # what Excel calls "Unicode text"
        text = content.decode("utf-16", errors="replace")
    else:
        text = decode_utf8(content)
    if "\0" in text[:_SNIFFED_CHARACTERS]:
        raise Refused("binary file: holds NUL bytes, must be a table of text. Save it as CSV.")
    try:
        dialect: Any = csv.Sniffer().sniff(text[:_SNIFFED_CHARACTERS], delimiters=",;\t|")
    except csv.Error:  # a single column has no delimiter
        dialect = csv.excel
    csv.field_size_limit(limits.document_bytes)
    return ExtractedText(markdown_table(csv.reader(io.StringIO(text, newline=""), dialect), limits), "")


def markdown_table(rows: Iterable[list[str]], limits: ParseLimits) -> str:
    """Rows as a Markdown table, the first row as its header. Empty rows, and empty cells at a row's end, are dropped.

    Raises `Refused` as soon as the table exceeds `document_bytes`, before the remaining rows are read.
    """
    lines: list[str] = []
    width = size = 0
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        width = max(width, len(cells))
        lines.append("| " + " | ".join(cells) + " |")
        size += len(lines[-1])
        if size > limits.document_bytes:
            raise Refused(
                f"oversize: a table of over {size:,} characters, at most {limits.document_bytes:,} are allowed. "
                "Split it into files of fewer rows."
            )
    if not lines:
        return ""
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


FORMATS = (Format("table", (".csv", ".tsv"), read_delimited, media_types=("text/csv",)),)
