"""Workbooks (.xlsx, .xlsm, .xls) as Markdown: a section and a table for each sheet that is not empty.

Values are written as their sheet shows them, and a merged cell stands in every place that it covers. A formula counts
as the value that was stored with it, and as its own text where none was: nothing is calculated, no macro is run and no
link is followed.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.number_formats import shown
from spark_jobs.formats.office_package import open_office_package, person
from spark_jobs.formats.tables import markdown_table

_FORMULA = re.compile(rb"<f[ />]")
_MAX_REPEATED = 200
"""Characters of a merged cell that is repeated; a longer text is written once."""


class _Merge(NamedTuple):
    """A merged cell: its rows and columns from 0, the ends included."""

    top: int
    left: int
    bottom: int
    right: int


def read_xlsx(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import openpyxl

    package = open_office_package(file, limits)
    merges = _merges(package)
    has_formulas = _has_formulas(package)
    workbook = openpyxl.load_workbook(package, read_only=True, data_only=True, keep_links=False)
    written = openpyxl.load_workbook(package, read_only=True, keep_links=False) if has_formulas else workbook

    def rows(values: Any, formulas: Any) -> Iterator[list[str]]:
        for sheet in {id(values): values, id(formulas): formulas}.values():
            sheet.reset_dimensions()  # a wrong dimension pads every row to 16,384 cells
        for row, source in zip(values.iter_rows(), formulas.iter_rows() if has_formulas else values, strict=False):
            yield [_xlsx_text(*cells) for cells in zip(row, source if has_formulas else row, strict=False)]

    sheets = zip(workbook.worksheets, written.worksheets, strict=True)
    text = _sections(((one.title, rows(one, other), merges.get(one.title, ())) for one, other in sheets), limits)
    return ExtractedText(text, "", author=person(workbook.properties.creator))


def _xlsx_text(cell: Any, source: Any) -> str:
    if cell.value is None:
        value = source.value
        return "" if value is None else str(getattr(value, "text", value))  # a formula of many cells holds its text
    return shown(cell.value, cell.number_format or "")


def _has_formulas(package: IO[bytes]) -> bool:
    with zipfile.ZipFile(package) as parts:
        sheets = [part for part in parts.namelist() if part.startswith("xl/worksheets/") and part.endswith(".xml")]
        found = any(_FORMULA.search(line) for sheet in sheets for line in _pieces(parts, sheet))
    package.seek(0)
    return found


def _pieces(parts: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    """The part in pieces that overlap by a tag."""
    end = b""
    with parts.open(name) as part:
        while piece := part.read(1 << 20):
            yield end + piece
            end = piece[-8:]


def _merges(package: IO[bytes]) -> dict[str, Sequence[_Merge]]:
    """The merged cells by sheet, which openpyxl knows only with all cells of a sheet in memory."""
    from python_calamine import CalamineWorkbook

    workbook = CalamineWorkbook.from_filelike(package)
    merges: dict[str, Sequence[_Merge]] = {}
    for name in workbook.sheet_names:
        ranges = workbook.get_sheet_by_name(name).merged_cell_ranges or []
        merges[name] = [_Merge(*start, *end) for start, end in ranges]
    package.seek(0)
    return merges


def read_xls(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import xlrd

    try:
        workbook = xlrd.open_workbook(file_contents=file.read(), formatting_info=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise Refused("encrypted: the workbook is under a password. Save it without one.") from None
        raise

    def rows(sheet: Any) -> Iterator[list[str]]:
        for row in sheet.get_rows():
            yield [_xls_text(cell, workbook) for cell in row]

    def merges(sheet: Any) -> list[_Merge]:
        return [_Merge(top, left, below - 1, right - 1) for top, below, left, right in sheet.merged_cells]

    sheets = ((sheet.name, rows(sheet), merges(sheet)) for sheet in workbook.sheets())
    return ExtractedText(_sections(sheets, limits), "", author=person(workbook.user_name))


def _xls_text(cell: Any, workbook: Any) -> str:
    import xlrd

    number_format = workbook.format_map[workbook.xf_list[cell.xf_index].format_key].format_str
    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return shown(xlrd.xldate_as_datetime(cell.value, workbook.datemode), number_format)
        except (ValueError, OverflowError):
            return str(cell.value)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return shown(bool(cell.value), number_format)
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return shown(cell.value, number_format)


def _sections(sheets: Iterable[tuple[str, Iterable[list[str]], Sequence[_Merge]]], limits: ParseLimits) -> str:
    tables = (
        (name, markdown_table(_filled(rows, merges), limits.document_bytes, _header_rows(merges)))
        for name, rows, merges in sheets
    )
    return "\n\n".join(f"## {name}\n\n{table}" for name, table in tables if table)


def _filled(rows: Iterable[list[str]], merges: Sequence[_Merge]) -> Iterator[list[str]]:
    """The rows with the text of a merged cell in every place that it covers, but once in a line across the table."""
    open_merges: list[tuple[_Merge, str]] = []
    waiting = sorted(merges, reverse=True)
    for number, row in enumerate(rows):
        open_merges = [(merge, text) for merge, text in open_merges if merge.bottom >= number]
        while waiting and waiting[-1].top <= number:
            merge = waiting.pop()
            text = row[merge.left] if merge.left < len(row) else ""
            if text and len(text) <= _MAX_REPEATED:
                open_merges.append((merge, text))
        if not any(row):  # a row that holds nothing but cells from above says nothing new
            yield row
            continue
        is_line = sum(map(bool, row)) == 1
        for merge, text in open_merges:
            row += [""] * (merge.right + 1 - len(row))
            right = merge.left if is_line and merge.top == merge.bottom else merge.right
            row[merge.left : right + 1] = [text] * (right + 1 - merge.left)
        yield row


def _header_rows(merges: Sequence[_Merge]) -> int:
    """How many rows at the top are titles and header, several where one cell groups columns and one spans rows."""
    top = 0
    while True:
        of_row = [merge for merge in merges if merge.top == top]
        is_title = len(of_row) == 1 and of_row[0].left == 0 < of_row[0].right
        if not is_title:
            break
        top = of_row[0].bottom + 1
    has_groups = any(merge.right > merge.left for merge in of_row)
    return max(merge.bottom + 1 for merge in of_row) if has_groups else top + 1


FORMATS = (
    Format(
        "workbook",
        (".xlsx", ".xlsm", ".xltx", ".xltm"),
        read_xlsx,
        parsers=("openpyxl", "python_calamine"),
        media_types=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    ),
    Format(
        "workbook of Excel 97 to 2003",
        (".xls", ".xlt"),
        read_xls,
        parsers=("xlrd",),
        media_types=("application/vnd.ms-excel",),
    ),
)
