"""Workbooks: what a sheet shows, merged cells, formulas, titles and headers."""

import io
from datetime import date

import openpyxl
from openpyxl.comments import Comment

from spark_jobs.formats.document import ParsedDocument, ParseLimits
from spark_jobs.formats.registry import read_document
from tests.spark_jobs.formats.office_samples import as_strict, workbook

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)


def read(content: bytes, name: str = "a.xlsx") -> ParsedDocument:
    return read_document(name, "file:///a", io.BytesIO(content), LIMITS)


def test_a_merged_cell_stands_in_every_place_that_it_covers() -> None:
    cells = {"A1": "Region", "B1": "Town", "C1": "Sales", "A2": "North", "B2": "Kassel", "B3": "Fulda", "C3": 80}
    wide = {"A4": "South", "B4": "none yet", "merged": ["A2:A3", "B4:C4"]}

    assert read(workbook(A=cells | wide)).text == (
        "## A\n\n| Region | Town | Sales |\n| --- | --- | --- |\n| North | Kassel |\n| North | Fulda | 80 |\n"
        "| South | none yet | none yet |"
    )


def test_values_are_written_as_the_sheet_shows_them() -> None:
    cells = {
        "A1": "code", "B1": "share", "C1": "day", "D1": "price",
        "A2": (815, "00000"), "B2": (0.195, "0.0%"), "C2": (date(2026, 3, 14), "DD.MM.YYYY"),
        "D2": (1234.5, '#,##0.00 "€"'),
    }  # fmt: skip

    assert read(workbook(A=cells)).text.endswith("| 00815 | 19.5% | 14.03.2026 | 1,234.50 € |")


def test_a_formula_without_a_stored_value_stands_for_it_and_its_sheet_stays() -> None:
    content = workbook(
        Items={"A1": "item", "B1": "usd", "A2": "sum", "B2": "=SUM(B1:B1)"}, Result={"A1": "=Items!B2*12"}
    )

    assert read(content).text == (
        "## Items\n\n| item | usd |\n| --- | --- |\n| sum | =SUM(B1:B1) |\n\n## Result\n\n| =Items!B2*12 |\n| --- |"
    )


def test_a_title_stands_above_its_table_and_a_header_of_two_rows_is_one() -> None:
    cells = {
        "A1": "Report 2026", "A2": "Plant", "B2": "Q1", "D2": "Q2", "B3": "plan", "C3": "is", "D3": "plan", "E3": "is",
        "A4": "Emden", "E4": 4, "A5": "Source: own figures", "merged": ["A1:E1", "A2:A3", "B2:C2", "D2:E2", "A5:E5"],
    }  # fmt: skip

    assert read(workbook(A=cells)).text == (
        "## A\n\nReport 2026\n\n| Plant | Q1 plan | Q1 is | Q2 plan | Q2 is |\n| --- | --- | --- | --- | --- |\n"
        "| Emden |  |  |  | 4 |\n| Source: own figures |"
    )


def test_a_workbook_saved_as_strict_open_xml_is_read() -> None:
    assert (
        read(as_strict(workbook(A={"A1": "Device", "A2": "Rotanta"}))).text
        == "## A\n\n| Device |\n| --- |\n| Rotanta |"
    )


def test_comments_and_page_headers_of_a_sheet_are_read() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook(A={"A1": "Device", "A2": "Rotanta"})))
    book["A"]["A2"].comment = Comment("until May only", "Mia")
    book["A"].oddHeader.left.text = "QMH-8842"
    book["A"].oddFooter.right.text = "Page &P of &N"
    packed = io.BytesIO()
    book.save(packed)

    assert read(packed.getvalue()).text.splitlines()[6:] == [
        "Page header: QMH-8842", "", "Page footer: Page of", "", "Comment on A2: until May only",
    ]  # fmt: skip
