"""Word files: what Word shows and the body does not hold, tables, notes, revisions."""

import io

import pytest

from spark_jobs.formats.document import ParsedDocument, ParseLimits
from spark_jobs.formats.registry import read_document
from tests.spark_jobs.formats.office_samples import as_strict, cell, paragraph, word_file

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)
_MERGE, _MERGED = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"


def read(content: bytes) -> ParsedDocument:
    return read_document("a.docx", "file:///a", io.BytesIO(content), LIMITS)


def text_of(body: str, **parts: str) -> str:
    return read(word_file(body, **parts)).text


def table(*rows: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def test_a_merged_cell_stands_in_every_place_that_it_covers() -> None:
    rows = (
        cell(paragraph("Plant"), '<w:gridSpan w:val="2"/>') + cell(paragraph("Pieces")),
        cell(paragraph("Emden"), _MERGE) + cell(paragraph("Cable")) + cell(paragraph("12")),
        cell(paragraph(""), _MERGED) + cell(paragraph("Box")) + cell(paragraph("7")),
        '<w:trPr><w:gridBefore w:val="1"/></w:trPr>' + cell(paragraph("Sleeve")) + cell(paragraph("9")),
    )

    assert text_of(table(*rows)) == (
        "| Plant | Plant | Pieces |\n| --- | --- | --- |\n| Emden | Cable | 12 |\n| Emden | Box | 7 |\n"
        "|  | Sleeve | 9 |"
    )


def test_a_table_in_a_cell_is_a_table_of_its_own_or_names_its_columns() -> None:
    inner = table(cell(paragraph("A")) + cell(paragraph("B")), cell(paragraph("rule")) + cell(paragraph("gauge")))
    mostly = table(cell(paragraph("Outer")) + cell(inner + paragraph("")))
    partly = table(
        cell(paragraph("Tool")) + cell(paragraph("Kinds")), cell(paragraph("Callipers of the hall")) + cell(inner)
    )

    assert text_of(mostly) == "Outer\n\n| A | B |\n| --- | --- |\n| rule | gauge |"
    assert text_of(partly).endswith("| Callipers of the hall | A: rule; B: gauge |")


def test_headers_and_footers_stand_once_without_numbers_of_pages() -> None:
    page = '<w:p><w:r><w:t>Rev F </w:t></w:r><w:fldSimple w:instr=" PAGE "><w:r><w:t>3</w:t></w:r></w:fldSimple></w:p>'
    section = '<w:headerReference w:type="{}" r:id="header"/>'
    body = paragraph("Body") + f"<w:p><w:pPr><w:sectPr>{section.format('first')}</w:sectPr></w:pPr></w:p>"
    last = f"<w:sectPr>{section.format('default')}<w:footerReference w:type='default' r:id='footer'/></w:sectPr>"

    assert text_of(body + last, header=paragraph("QMH-8842"), footer=page) == (
        "Body\n\nPage header: QMH-8842\n\nPage footer: Rev F"
    )


_LEVEL = '<w:lvl w:ilvl="{}"><w:start w:val="1"/><w:numFmt w:val="{}"/><w:lvlText w:val="{}"/></w:lvl>'
_NUMBERING = (
    f'<w:abstractNum w:abstractNumId="0">{_LEVEL.format(0, "decimal", "%1")}{_LEVEL.format(1, "decimal", "%1.%2")}'
    f'{_LEVEL.format(2, "lowerRoman", "(%3)")}</w:abstractNum><w:num w:numId="5"><w:abstractNumId w:val="0"/></w:num>'
    '<w:num w:numId="6"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/>'
    "</w:lvlOverride></w:num>"
    f'<w:abstractNum w:abstractNumId="1">{_LEVEL.format(0, "bullet", "•")}</w:abstractNum>'
    '<w:num w:numId="8"><w:abstractNumId w:val="1"/></w:num>'
)


def numbered(text: str, level: int, number: int = 5) -> str:
    return paragraph(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def test_automatic_numbers_are_written() -> None:
    body = "".join(numbered(*one) for one in (("a", 0), ("b", 0), ("c", 1), ("d", 1), ("e", 2), ("f", 0), ("g", 0, 6)))

    assert text_of(body, numbering=_NUMBERING).split("\n\n") == ["1 a", "2 b", "2.1 c", "2.2 d", "(i) e", "3 f", "7 g"]


def test_a_heading_has_the_number_of_its_style_and_a_style_based_on_it_is_a_heading() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/><w:pPr>'
        '<w:outlineLvl w:val="0"/><w:numPr><w:numId w:val="5"/></w:numPr></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Own"><w:basedOn w:val="berschrift1"/></w:style>'
    )
    body = paragraph("Scope", '<w:pStyle w:val="berschrift1"/>') + paragraph("Liability", '<w:pStyle w:val="Own"/>')

    assert text_of(body, styles=styles, numbering=_NUMBERING) == "# 1 Scope\n\n# 2 Liability"


def test_bullets_stay_a_list() -> None:
    assert text_of(numbered("a", 0, 8) + numbered("b", 0, 8), numbering=_NUMBERING) == "- a\n- b"


def test_revisions_are_accepted() -> None:
    def run(name: str, text: str, tag: str = "t") -> str:
        return f'<w:{name} w:id="1"><w:r><w:{tag}>{text}</w:{tag}></w:r></w:{name}>'

    body = run("del", "twenty ", "delText") + run("ins", "forty ") + run("moveFrom", "from ") + run("moveTo", "to")

    assert text_of(f"<w:p>{body}</w:p>") == "forty to"


_BOX = f"<wps:txbx><w:txbxContent>{paragraph('boxed')}</w:txbxContent></wps:txbx>"


@pytest.mark.parametrize(
    "box",
    [
        f"<w:drawing>{_BOX}</w:drawing>",
        f"<mc:AlternateContent><mc:Choice><w:drawing>{_BOX}</w:drawing></mc:Choice></mc:AlternateContent>",
        f"<mc:AlternateContent><mc:Choice><w:drawing>{_BOX}</w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>"
        f"<w:txbxContent>{paragraph('boxed')}</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent>",
    ],
    ids=("drawing", "alternative", "both"),
)
def test_the_text_of_a_box_stands_once(box: str) -> None:
    assert text_of(f"<w:p><w:r><w:t>a</w:t></w:r><w:r>{box}</w:r></w:p>").count("boxed") == 1


def test_notes_comments_and_forms_are_read() -> None:
    body = (
        '<w:p><w:r><w:t>Note</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
        '<w:p><w:r><w:t>Said</w:t></w:r><w:r><w:commentReference w:id="0"/></w:r></w:p>'
        '<w:p><w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData>'
        '</w:fldChar></w:r><w:r><w:instrText> FORMCHECKBOX </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/>'
        "</w:r><w:r><w:t>agreed</w:t></w:r></w:p>"
    )
    footnotes = f'<w:footnote w:id="2">{paragraph("Small print")}</w:footnote>'
    comments = f'<w:comment w:id="0" w:initials="MB">{paragraph("Too long")}</w:comment>'

    assert text_of(body, footnotes=footnotes, comments=comments) == (
        "Note[1]\n\nSaid (MB1)\n\n[x] agreed\n\n1. Small print\n\nComment MB1: Too long"
    )


def test_an_equation_is_latex() -> None:
    fraction = "<m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f>"

    assert text_of(f"<w:p><w:r><w:t>x is </w:t></w:r><m:oMath>{fraction}</m:oMath></w:p>") == r"x is $\frac{a}{b}$"


def test_identifiers_have_no_backslashes() -> None:
    assert text_of(paragraph("worker_lease_ttl_seconds is 2*3*4")) == "worker_lease_ttl_seconds is 2*3*4"


def test_a_file_saved_as_strict_open_xml_is_read() -> None:
    assert read(as_strict(word_file(paragraph("Spektralraum")))).text == "Spektralraum"


def test_a_header_of_two_rows_is_one_and_a_title_stands_above() -> None:
    wide = '<w:gridSpan w:val="{}"/>'
    rows = (
        cell(paragraph("Table 1"), wide.format(3)),
        cell(paragraph("Plant"), _MERGE) + cell(paragraph("2025"), wide.format(2)),
        cell(paragraph(""), _MERGED) + cell(paragraph("Q1")) + cell(paragraph("Q2")),
        cell(paragraph("Emden")) + cell(paragraph("1")) + cell(paragraph("2")),
    )

    assert text_of(table(*rows)) == ("Table 1\n\n| Plant | 2025 Q1 | 2025 Q2 |\n| --- | --- | --- |\n| Emden | 1 | 2 |")


def test_a_row_of_a_page_header_is_one_line() -> None:
    header = table(cell(paragraph("Document")) + cell(paragraph("QM-1")))

    assert (
        text_of("<w:sectPr><w:headerReference r:id='header'/></w:sectPr>", header=header)
        == "Page header: Document QM-1"
    )
