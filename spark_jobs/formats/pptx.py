"""PowerPoint files (.pptx, .pptm) as Markdown: a section for each slide with its texts, tables, charts and notes."""

from collections.abc import Iterable, Iterator
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.office_package import open_office_package, person
from spark_jobs.formats.tables import markdown_table

_DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"
_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_OFFICE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MAX_DEPTH = 50  # of groups within groups


def read_pptx(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    import pptx

    presentation = pptx.Presentation(open_office_package(file, limits))
    furniture: dict[str, None] = {}
    slides = (_slide(number, slide, furniture, limits) for number, slide in enumerate(presentation.slides, start=1))
    blocks = [block for slide in slides for block in slide]
    text = "\n\n".join([*blocks, *(f"Page footer: {line}" for line in furniture)])
    return ExtractedText(text, author=person(presentation.core_properties.author))


def _slide(number: int, slide: Any, furniture: dict[str, None], limits: ParseLimits) -> Iterator[str]:
    """The blocks of a slide; the text of its footer goes to `furniture`, because most slides repeat it."""
    from pptx.enum.shapes import PP_PLACEHOLDER as KINDS

    title = slide.shapes.title
    name = " ".join(title.text_frame.text.split()) if title is not None else ""
    blocks: list[str] = []
    for shape in _in_order(slide.shapes):
        kind = shape.placeholder_format.type if shape.is_placeholder else None
        if kind in (KINDS.FOOTER, KINDS.HEADER):
            furniture |= dict.fromkeys(filter(None, [" ".join(shape.text_frame.text.split())]))
        elif shape != title and kind not in (KINDS.SLIDE_NUMBER, KINDS.DATE):
            blocks += _shape(shape, limits)
    notes = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if notes is not None and notes.text.strip():
        blocks.append(f"Notes: {' '.join(notes.text.split())}")
    if name or blocks:
        yield f"# {name or f'Slide {number}'}"
        yield from blocks


def _in_order(shapes: Iterable[Any]) -> list[Any]:
    """From top to bottom, then from left to right; placeholders without a place of their own come first."""
    return sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0))


def _shape(shape: Any, limits: ParseLimits, depth: int = 0) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        if depth > _MAX_DEPTH:
            raise Refused("shapes grouped too deep to read. Ungroup them.")
        for inner in _in_order(shape.shapes):
            yield from _shape(inner, limits, depth + 1)
    elif shape.has_text_frame:
        yield from _paragraphs(shape)
    elif getattr(shape, "has_table", False):
        yield markdown_table(_rows(shape.table), limits.document_bytes, _header_rows(shape.table))
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart, limits)
    else:
        yield from _drawn(shape)


def _paragraphs(shape: Any) -> Iterator[str]:
    """The text of a shape as one block; in a placeholder for text, deeper paragraphs are items of a list."""
    paragraphs = [(paragraph.level, " ".join(paragraph.text.split())) for paragraph in shape.text_frame.paragraphs]
    lines = [(level, text) for level, text in paragraphs if text]
    if not lines:
        return
    if len(lines) > 1 and shape.is_placeholder:
        yield "\n".join(f"{'  ' * level}- {text}" for level, text in lines)
    else:
        yield "\n\n".join(text for _, text in lines)


def _rows(table: Any) -> Iterator[list[str]]:
    """The rows, with the text of a merged cell in every place that it covers."""
    grid = [[cell.text_frame.text for cell in row.cells] for row in table.rows]
    for top, row in enumerate(table.rows):
        for left, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for below in grid[top : top + cell.span_height]:
                    below[left : left + cell.span_width] = [cell.text_frame.text] * cell.span_width
    yield from grid


def _header_rows(table: Any) -> int:
    """How many rows are the header: several where one cell groups columns and one spans rows."""
    merged = [cell for cell in next(iter(table.rows)).cells if cell.is_merge_origin]
    has_groups = any(1 < cell.span_width < len(table.columns) for cell in merged)
    return max(cell.span_height for cell in merged) if has_groups else 1


def _chart(chart: Any, limits: ParseLimits) -> Iterator[str]:
    """The title and the data of a chart, a row for each category."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield " ".join(chart.chart_title.text_frame.text.split())
    for plot in chart.plots:
        series = list(plot.series)
        categories = [str(category) for category in plot.categories]
        columns = [[_value(value) for value in one.values] for one in series]
        rows = [[name, *values] for name, *values in zip(categories, *columns, strict=False)]
        yield markdown_table([["Category", *(one.name or "" for one in series)], *rows], limits.document_bytes)


def _value(value: float | None) -> str:
    return "" if value is None else f"{value:.15g}"


def _drawn(shape: Any) -> Iterator[str]:
    """What a picture shows in words, and the texts of a diagram (SmartArt)."""
    described = [one for one in shape.element.xpath(".//p:cNvPr/@descr") if one.strip()]
    yield from (f"Picture: {' '.join(text.split())}" for text in described)
    for data in shape.element.iter(f"{{{_DIAGRAM}}}relIds"):
        part = shape.part.related_part(data.get(f"{_OFFICE}dm"))
        yield from _diagram(part.blob)


def _diagram(content: bytes) -> Iterator[str]:
    from lxml import etree

    root = etree.fromstring(content, etree.XMLParser(resolve_entities=False, no_network=True))
    texts = ["".join(part.text or "" for part in point.iter(_TEXT)) for point in root.iter(f"{{{_DIAGRAM}}}pt")]
    if lines := [f"- {' '.join(text.split())}" for text in texts if text.strip()]:
        yield "\n".join(lines)


FORMATS = (
    Format(
        "PowerPoint",
        (".pptx", ".pptm"),
        read_pptx,
        parsers=("pptx", "lxml.etree"),
        media_types=("application/vnd.openxmlformats-officedocument.presentationml.presentation",),
    ),
)
