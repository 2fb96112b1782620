"""LibreOffice's files: text, spreadsheets, presentations."""

import io

from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.formats.registry import parse_file, read_document
from tests.spark_jobs.formats import samples
from tests.spark_jobs.formats.office_samples import open_document

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)


def read(name: str, content: bytes) -> ParsedDocument:
    return read_document(name, "file:///a", io.BytesIO(content), LIMITS)


def test_a_text_keeps_headings_lists_and_notes_without_what_was_deleted() -> None:
    body = (
        "<text:tracked-changes><text:deletion><text:p>deleted</text:p></text:deletion></text:tracked-changes>"
        '<text:h text:outline-level="2">Plan_b</text:h><text:p>See<text:s/>this<text:note><text:note-citation>1'
        "</text:note-citation><text:note-body><text:p>noted</text:p></text:note-body></text:note>.</text:p>"
        "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
    )
    footer = "<style:footer><text:p>QMH-8842 page <text:page-number>3</text:page-number></text:p></style:footer>"

    assert read("a.odt", open_document("text", body, footer)).text == (
        "## Plan_b\n\nSee this (Note: noted) .\n\n- one\n\nPage footer: QMH-8842 page"
    )


def test_the_author_is_the_file_s() -> None:
    assert read("a.odt", open_document("text", "<text:p>x</text:p>")).author == "Mia Berg"


def test_a_spreadsheet_shows_what_its_cells_show_and_fills_merged_cells() -> None:
    def cell(text: str, attributes: str = "") -> str:
        return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"

    covered = "<table:covered-table-cell/>"
    rows = (
        cell("Region") + cell("Town") + cell("Share"),
        cell("North", 'table:number-rows-spanned="2"') + cell("Fulda") + cell("19,5 %", 'office:value="0.195"'),
        covered + cell("7", 'table:number-columns-repeated="2"'),
    )
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    empty = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    sheet = f'<table:table table:name="Sales">{table}{empty}</table:table>'

    assert read("a.ods", open_document("spreadsheet", sheet)).text == (
        "## Sales\n\n| Region | Town | Share |\n| --- | --- | --- |\n| North | Fulda | 19,5 % |\n| North | 7 | 7 |"
    )


def test_a_presentation_has_a_section_for_each_slide() -> None:
    box = "<draw:frame><draw:text-box><text:p>Pumps</text:p></draw:text-box></draw:frame>"
    slide = f'<draw:page draw:name="Costs">{box}</draw:page>'

    assert read("a.odp", open_document("presentation", slide)).text == "# Costs\n\nPumps"


def test_a_file_under_a_password_says_so() -> None:
    locked = samples.zipped({"META-INF/manifest.xml": "<manifest:encryption-data/>", "content.xml": "?"})
    result = parse_file("a.odt", "file:///a", io.BytesIO(locked), LIMITS)

    assert isinstance(result, Rejection)
    assert result.reason.startswith("encrypted: the file is under a password")
