"""Slides: tables, charts, notes, groups."""

import io
from typing import Any

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from spark_jobs.formats.document import ParsedDocument, ParseLimits
from spark_jobs.formats.registry import read_document

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)
_BOX = (Inches(1), Inches(2), Inches(5), Inches(2))


def slide(title: str = "") -> tuple[Any, Any]:
    presentation = pptx.Presentation()
    added = presentation.slides.add_slide(presentation.slide_layouts[5])
    added.shapes.title.text = title
    return presentation, added


def read(presentation: Any) -> ParsedDocument:
    packed = io.BytesIO()
    presentation.save(packed)
    return read_document("a.pptx", "file:///a", packed, LIMITS)


def test_a_merged_cell_stands_in_every_place_that_it_covers() -> None:
    presentation, added = slide("Sales")
    table = added.shapes.add_table(3, 2, *_BOX).table
    for place, text in {(0, 0): "Region", (0, 1): "Town", (1, 0): "North", (1, 1): "Kassel", (2, 1): "Fulda_b"}.items():
        table.cell(*place).text = text
    table.cell(1, 0).merge(table.cell(2, 0))

    assert read(presentation).text == (
        "# Sales\n\n| Region | Town |\n| --- | --- |\n| North | Kassel |\n| North | Fulda_b |"
    )


def test_a_chart_is_a_table_of_its_data() -> None:
    presentation, added = slide()
    data = CategoryChartData()
    data.categories = ["May", "June"]
    data.add_series("pumps", (3, 4.5))
    added.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *_BOX, data)

    assert read(presentation).text == "# Slide 1\n\n| Category | pumps |\n| --- | --- |\n| May | 3 |\n| June | 4.5 |"


def test_groups_and_notes_are_read_and_the_author_is_the_file_s() -> None:
    presentation, added = slide("Plan")
    group = added.shapes.add_group_shape()
    group.shapes.add_textbox(*_BOX).text_frame.text = "in a group"
    added.notes_slide.notes_text_frame.text = "say it twice"
    presentation.core_properties.author = "Mia Berg"

    document = read(presentation)

    assert (document.author, document.text) == ("Mia Berg", "# Plan\n\nin a group\n\nNotes: say it twice")


def test_items_of_a_placeholder_are_a_list() -> None:
    presentation = pptx.Presentation()
    added = presentation.slides.add_slide(presentation.slide_layouts[1])
    added.shapes.title.text = "Plan"
    added.placeholders[1].text_frame.text = "one\ntwo"
    added.placeholders[1].text_frame.paragraphs[1].level = 1

    assert read(presentation).text == "# Plan\n\n- one\n  - two"


def test_the_footer_of_all_slides_stands_once() -> None:
    presentation = pptx.Presentation()
    layout = presentation.slide_layouts[6]
    for _ in range(2):
        added = presentation.slides.add_slide(layout)
        for placeholder in layout.placeholders:  # footer, date, number
            added.shapes.clone_placeholder(placeholder)
        for placeholder in added.placeholders:
            placeholder.text_frame.text = f"QMH-8842 {placeholder.placeholder_format.type}"
        added.shapes.add_textbox(*_BOX).text_frame.text = "said"

    assert read(presentation).text == ("# Slide 1\n\nsaid\n\n# Slide 2\n\nsaid\n\nPage footer: QMH-8842 FOOTER (15)")
