"""Workbooks (.xlsx, .xlsm, .xls) as Markdown: a section and a table for each sheet that is not empty.

Values are written as their sheet shows them, and a merged cell stands in every place that it covers. A formula counts
as the value that was stored with it, and as its own text where none was: nothing is calculated, no macro is run and no
link is followed.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.number_formats import shown
from spark_jobs.formats.office_package import open_office_package, person
from spark_jobs.formats.tables import markdown_table

if TYPE_CHECKING:
    from spark_jobs.formats.sheet_parts import Merge

_MAX_REPEATED = 200
"""Characters of a merged cell that is repeated; a longer text is written once."""


def read_xlsx(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import openpyxl

    from spark_jobs.formats.sheet_parts import SheetParts, sheet_parts

    package = open_office_package(file, limits)
    parts = sheet_parts(package)
    has_formulas = any(part.has_formulas for part in parts.values())
    workbook = openpyxl.load_workbook(package, read_only=True, data_only=True, keep_links=False)
    written = openpyxl.load_workbook(package, read_only=True, keep_links=False) if has_formulas else workbook

    def rows(values: Any, formulas: Any) -> Iterator[list[str]]:
        for sheet in {id(values): values, id(formulas): formulas}.values():
            sheet.reset_dimensions()  # a wrong dimension pads every row to 16,384 cells
        if not has_formulas:
            yield from ([_xlsx_text(cell, cell) for cell in row] for row in values.iter_rows())
            return
        for row, source in zip(values.iter_rows(), formulas.iter_rows(), strict=True):
            yield [_xlsx_text(*cells) for cells in zip(row, source, strict=True)]

    sheets = (
        (one.title, rows(one, other), parts.get(one.title, SheetParts()))
        for one, other in zip(workbook.worksheets, written.worksheets, strict=True)
    )
    text = _sections(((title, cells, part.merges, part.texts) for title, cells, part in sheets), limits)
    return ExtractedText(text, "", author=person(workbook.properties.creator))


def _xlsx_text(cell: Any, source: Any) -> str:
    if cell.value is None:
        value = source.value
        return "" if value is None else str(getattr(value, "text", value))  # a formula of many cells holds its text
    return shown(cell.value, cell.number_format or "")


def read_xls(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import xlrd

    from spark_jobs.formats.sheet_parts import Merge

    try:
        workbook = xlrd.open_workbook(file_contents=file.read(), formatting_info=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise Refused("encrypted: the workbook is under a password. Save it without one.") from None
        raise

    def rows(sheet: Any) -> Iterator[list[str]]:
        for row in sheet.get_rows():
            yield [_xls_text(cell, workbook) for cell in row]

    def merges(sheet: Any) -> list[Merge]:
        return [Merge(top, left, below - 1, right - 1) for top, below, left, right in sheet.merged_cells]

    def notes(sheet: Any) -> list[str]:
        places = sorted(sheet.cell_note_map.items())
        return [f"Comment on {xlrd.cellname(*place)}: {' '.join(note.text.split())}" for place, note in places]

    sheets = ((sheet.name, rows(sheet), merges(sheet), notes(sheet)) for sheet in workbook.sheets())
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


def _sections(
    sheets: Iterable[tuple[str, Iterable[list[str]], "Sequence[Merge]", Sequence[str]]], limits: ParseLimits
) -> str:
    """A section for each sheet that holds something: its table, then the texts around its cells."""
    sections = []
    for name, rows, merges, texts in sheets:
        table = markdown_table(_filled(rows, merges), limits.document_bytes, _header_rows(merges))
        if table or texts:
            sections.append("\n\n".join(filter(None, (f"## {name}", table, *texts))))
    return "\n\n".join(sections)


def _filled(rows: Iterable[list[str]], merges: "Sequence[Merge]") -> Iterator[list[str]]:
    """The rows with the text of a merged cell in every place that it covers, but once in a line across the table."""
    open_merges: list[tuple[Merge, str]] = []
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


def _header_rows(merges: "Sequence[Merge]") -> int:
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
        parsers=("openpyxl", "spark_jobs.formats.sheet_parts"),
        media_types=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    ),
    Format(
        "workbook of Excel 97 to 2003",
        (".xls", ".xlt"),
        read_xls,
        parsers=("xlrd", "spark_jobs.formats.sheet_parts"),
        media_types=("application/vnd.ms-excel",),
    ),
)
