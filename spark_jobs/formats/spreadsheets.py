"""Workbooks (.xlsx, .xlsm, .xls) as Markdown: a section and a table for each sheet that is not empty.

A formula counts as the value that was stored with it; nothing is calculated, no macro is run and no link is followed.
"""

import io
from collections.abc import Iterable, Iterator
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.office_package import check_office_package
from spark_jobs.formats.tables import markdown_table


def read_xlsx(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import openpyxl

    check_office_package(file, limits)
    workbook = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)

    def rows(sheet: Any) -> Iterator[list[str]]:
        sheet.reset_dimensions()  # a wrong dimension pads every row to 16,384 cells
        for row in sheet.iter_rows(values_only=True):
            yield ["" if value is None else str(value) for value in row]

    return _sections(((sheet.title, rows(sheet)) for sheet in workbook.worksheets), limits)


def read_xls(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import xlrd

    try:
        workbook = xlrd.open_workbook(file_contents=file.read(), on_demand=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise Refused("encrypted: the workbook is under a password. Save it without one.") from None
        raise

    def rows(sheet: Any) -> Iterator[list[str]]:
        for row in sheet.get_rows():
            yield [_xls_text(cell, workbook.datemode) for cell in row]

    return _sections(((name, rows(workbook.sheet_by_name(name))) for name in workbook.sheet_names()), limits)


def _xls_text(cell: Any, date_mode: int) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return str(xlrd.xldate_as_datetime(cell.value, date_mode))
        except (ValueError, OverflowError):
            return str(cell.value)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    is_whole = isinstance(cell.value, float) and cell.value.is_integer()
    return str(int(cell.value)) if is_whole else str(cell.value)


def _sections(sheets: Iterable[tuple[str, Iterable[list[str]]]], limits: ParseLimits) -> ExtractedText:
    tables = ((name, markdown_table(rows, limits)) for name, rows in sheets)
    return ExtractedText("\n\n".join(f"## {name}\n\n{table}" for name, table in tables if table), "")


FORMATS = (
    Format(
        "workbook",
        (".xlsx", ".xlsm"),
        read_xlsx,
        parsers=("openpyxl",),
        media_types=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    ),
    Format("workbook of Excel 97 to 2003", (".xls",), read_xls, parsers=("xlrd",)),
)
