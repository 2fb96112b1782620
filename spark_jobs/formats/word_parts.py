"""What Word shows and the body of a file does not hold, written into the body for the reader of the body.

Automatic numbers, the text of page headers and footers, text boxes, equations, cells that a row leaves out; and
revisions are accepted. Page headers and footers stand once, at the end, and are named so.
"""

import io
import zipfile
from collections.abc import Iterator
from typing import IO

from lxml import etree

from spark_jobs.formats.package_parts import OFFICE, main_part, parsed, relations
from spark_jobs.formats.word_equations import M, latex
from spark_jobs.formats.word_numbering import Numbering, Styles, W, value

_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_V = "{urn:schemas-microsoft-com:vml}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_PAGE_FIELDS = ("PAGE", "NUMPAGES", "SECTIONPAGES")
_FURNITURE = (("headerReference", "Page header"), ("footerReference", "Page footer"))


def written_out(package: IO[bytes]) -> tuple[IO[bytes], dict[str, str]]:
    """The package with all that Word shows in its body, without pictures; and the properties of the file by name."""
    with zipfile.ZipFile(package) as parts:
        main = main_part(parts, "word/document.xml")
        related = {kind: path for kind, path, _ in relations(parts, main)}
        body = parsed(parts, main)
        assert body is not None, f"its part {main!r} is missing"
        styles_root = parsed(parts, related.get("styles"))
        styles = Styles(styles_root)
        _number(body, Numbering(parsed(parts, related.get("numbering")), styles), styles)
        _accept_moves(body)
        _fill_rows(body)
        _show_boxes(body)
        _write_equations(body)
        _append_furniture(body, parts, main)
        changed = {main: etree.tostring(body)}
        if styles_root is not None:
            changed[related["styles"]] = etree.tostring(_without_looks(styles_root))
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
            for name in parts.namelist():
                if name.endswith((".xml", ".rels")):
                    copy.writestr(name, changed.get(name) or parts.read(name))
        properties = parsed(parts, "docProps/core.xml")
        texts = () if properties is None else ((str(one.tag).removeprefix(_DC), one.text or "") for one in properties)
        return written, dict(texts)


def _without_looks(styles: etree._Element) -> etree._Element:
    """The styles without fonts, colours and borders: parsing these took most of the time of a short document."""
    kept = tuple(W + name for name in ("name", "basedOn", "pPr"))
    for style in list(styles):
        if style.tag != f"{W}style":
            styles.remove(style)
        for part in [part for part in style if part.tag not in kept]:
            style.remove(part)
    return styles


def _run(text: str) -> etree._Element:
    run = etree.Element(f"{W}r")
    written = etree.SubElement(run, f"{W}t")
    written.text = text
    written.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
    return run


def _number(body: etree._Element, numbering: Numbering, styles: Styles) -> None:
    """Write automatic numbers as text, and name headings by the style that readers know."""
    for paragraph in body.iter(f"{W}p"):
        properties = paragraph.find(f"{W}pPr")
        if properties is not None and properties.find(f"{W}rPr/{W}del") is not None:
            continue  # a paragraph that a revision took out does not count
        label = numbering.label(paragraph)
        style_id = value(properties, "pStyle")
        level = value(properties, "outlineLvl") or styles.first(style_id, "pPr/outlineLvl")
        if properties is None or (label is None and level is None):
            continue
        style = properties.find(f"{W}pStyle")
        if level is not None and level.isdecimal() and int(level) < 9:
            style = etree.Element(f"{W}pStyle") if style is None else style
            style.set(f"{W}val", f"Heading{min(int(level), 5) + 1}")
            properties.insert(0, style)
        if label is not None:
            for numbers in properties.findall(f"{W}numPr"):
                properties.remove(numbers)
            if style is not None and not style.get(f"{W}val", "").startswith("Heading"):
                properties.remove(style)  # the style would number the paragraph once more
            properties.addnext(_run(f"{label} "))


def _accept_moves(body: etree._Element) -> None:
    """Text that a revision moved stands where it was moved to."""
    for moved in list(body.iter(f"{W}moveTo")):
        moved.tag = f"{W}ins"


def _fill_rows(body: etree._Element) -> None:
    """An empty cell for those that a row leaves out at its beginning."""
    for skipped in list(body.iter(f"{W}gridBefore")):
        row = skipped.getparent().getparent()
        cell = etree.Element(f"{W}tc")
        span = etree.SubElement(etree.SubElement(cell, f"{W}tcPr"), f"{W}gridSpan")
        span.set(f"{W}val", skipped.get(f"{W}val", "1"))
        etree.SubElement(cell, f"{W}p")
        row.insert(row.index(skipped.getparent()) + 1, cell)


def _show_boxes(body: etree._Element) -> None:
    """Text boxes of today's drawings in the older form, which readers know, where the file holds no older form."""
    for drawing in list(body.iter(f"{W}drawing")):
        alternative = next(drawing.iterancestors(f"{_MC}AlternateContent"), None)
        old = None if alternative is None else alternative.find(f"{_MC}Fallback//{W}txbxContent")
        if old is not None:
            continue
        for content in list(drawing.iter(f"{W}txbxContent")):
            picture = etree.Element(f"{W}pict")
            etree.SubElement(picture, f"{_V}textbox").append(content)
            (drawing if alternative is None else alternative).addnext(picture)


def _write_equations(body: etree._Element) -> None:
    for name, mark in (("oMathPara", "$$"), ("oMath", "$")):
        for equation in list(body.iter(M + name)):
            text = latex(equation).strip()
            equation.addnext(_run(f"{mark}{text}{mark}" if text else ""))
            equation.getparent().remove(equation)


def _append_furniture(body: etree._Element, parts: zipfile.ZipFile, main: str) -> None:
    """The text of all page headers, then of all page footers, each once, as the last paragraphs."""
    paths = {relation_id: path for _, path, relation_id in relations(parts, main)}
    place = body.find(f"{W}body")
    if place is None:
        return
    for name, kind in _FURNITURE:
        texts: dict[str, None] = {}
        for reference in body.iter(W + name):
            part = parsed(parts, paths.get(reference.get(f"{OFFICE}id", "")))
            texts |= dict.fromkeys(() if part is None else _furniture_texts(part))
        for text in texts:
            paragraph = etree.SubElement(place, f"{W}p")
            paragraph.append(_run(f"{kind}: {text}"))


def _furniture_texts(part: etree._Element) -> Iterator[str]:
    """The text of each paragraph, and of each row of a table, without the numbers of pages."""
    for fallback in list(part.iter(f"{_MC}Fallback")):
        fallback.getparent().remove(fallback)  # the same text boxes once more
    for block in part.iter(f"{W}p", f"{W}tr"):
        if next(block.iterancestors(f"{W}tr", f"{W}p"), None) is None:
            texts = (_furniture_text(paragraph) for paragraph in block.iter(f"{W}p"))
            if text := " ".join(" ".join(texts).split()):
                yield text


def _furniture_text(paragraph: etree._Element) -> str:
    """The text of a paragraph without page numbers, and without the text of paragraphs in its boxes."""
    words: list[str] = []
    field: str | None = None
    for one in paragraph.iter(f"{W}t", f"{W}tab", f"{W}br", f"{W}instrText", f"{W}fldChar", f"{W}fldSimple"):
        if one.tag == f"{W}fldChar":
            field = {"begin": "", "end": None}.get(one.get(f"{W}fldCharType", ""), field)
        elif one.tag == f"{W}instrText":
            field = (field or "") + (one.text or "")
        elif one.tag == f"{W}t":
            simple = next(one.iterancestors(f"{W}fldSimple"), None)
            instruction = field or ("" if simple is None else simple.get(f"{W}instr", ""))
            is_page = instruction.split()[:1] and instruction.split()[0].upper() in _PAGE_FIELDS
            words.append("" if is_page or next(one.iterancestors(f"{W}p")) is not paragraph else one.text or "")
        elif one.tag != f"{W}fldSimple":
            words.append(" ")
    return "".join(words)
