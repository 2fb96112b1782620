"""OpenDocument files of LibreOffice (.odt, .ods, .odp) as Markdown.

Their XML is made into the HTML of the same content, which becomes Markdown as other pages do. Cells of a spreadsheet
hold what the sheet shows beside their value, so that numbers keep their format.
"""

import zipfile
from collections.abc import Iterator
from copy import deepcopy
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.html import PARSERS, html_to_markdown
from spark_jobs.formats.office_package import open_office_package, person

_URN = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_TEXT, _TABLE, _DRAW, _OFFICE, _STYLE = (_URN % name for name in ("text", "table", "drawing", "office", "style"))
_SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_MAX_REPEATED = 1000  # columns of a row, or rows, that the file writes once; more are the empty rest of a sheet
_BLOCKS = {
    f"{_TEXT}p": "p",
    f"{_TEXT}list": "ul",
    f"{_TEXT}list-item": "li",
    f"{_TEXT}list-header": "li",
    f"{_TABLE}table": "table",
    f"{_TABLE}table-header-rows": "thead",
}
_ASIDES = {f"{_TEXT}note": "Note", f"{_OFFICE}annotation": "Comment"}
_LEFT_OUT = {
    f"{_TEXT}tracked-changes",  # what was deleted
    f"{_OFFICE}forms",
    f"{_TEXT}sequence-decls",
    f"{_TABLE}covered-table-cell",
    f"{_OFFICE}event-listeners",
    f"{_TABLE}tracked-changes",
}


def read_open_document(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    from lxml import etree

    package = open_office_package(file, limits)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    with zipfile.ZipFile(package) as parts:
        if "encryption-data" in parts.read("META-INF/manifest.xml").decode(errors="replace"):
            raise Refused("encrypted: the file is under a password. Save it without one.")
        content, meta, styles = (
            etree.fromstring(parts.read(name), parser) if name in parts.namelist() else None
            for name in ("content.xml", "meta.xml", "styles.xml")
        )
    body = None if content is None else content.find(f"{_OFFICE}body")
    if body is None:
        raise Refused("damaged: no content.xml with a body. Get a whole copy, or save it anew.")
    page = etree.Element("body")
    _Writer(_list_kinds(content, styles)).write(body, page)
    for kind, text in _furniture(styles):
        etree.SubElement(page, "p").text = f"{kind}: {text}"
    _, text = html_to_markdown(etree.tostring(page, encoding="unicode", method="html"))
    author = None if meta is None else meta.findtext(f".//{_DC}creator")
    is_sheet = body.find(f"{_OFFICE}spreadsheet") is not None
    return ExtractedText(text, "" if is_sheet else None, author=person(author))


def _list_kinds(*roots: Any) -> dict[str, str]:
    """`ol` or `ul` by the name of a list's style, as its first level says."""
    kinds = {}
    for root in roots:
        for style in () if root is None else root.iter(f"{_TEXT}list-style"):
            is_numbered = len(style) and style[0].tag == f"{_TEXT}list-level-style-number"
            kinds[style.get(f"{_STYLE}name", "")] = "ol" if is_numbered else "ul"
    return kinds


def _furniture(styles: Any) -> Iterator[tuple[str, str]]:
    """The text of page headers and footers, each once."""
    found: dict[tuple[str, str], None] = {}
    for name, kind in (("header", "Page header"), ("footer", "Page footer")):
        for part in () if styles is None else styles.iter(_STYLE + name):
            for paragraph in part.iter(f"{_TEXT}p"):
                for number in list(paragraph.iter(f"{_TEXT}page-number", f"{_TEXT}page-count")):
                    number.text = None
                if text := " ".join("".join(paragraph.itertext()).split()):
                    found[kind, text] = None
    yield from found


class _Writer:
    """Writes the HTML of OpenDocument elements."""

    def __init__(self, list_kinds: dict[str, str]) -> None:
        self._list_kinds = list_kinds

    def write(self, source: Any, target: Any) -> None:
        """All children of `source`, as children of `target`."""
        _add_text(target, source.text)
        for child in source:
            if isinstance(child.tag, str) and child.tag not in _LEFT_OUT:
                self._element(child, target)
            _add_text(target, child.tail)

    def _element(self, child: Any, target: Any) -> None:
        from lxml import etree

        tag = child.tag
        if tag == f"{_TEXT}s":
            _add_text(target, " " * min(int(child.get(f"{_TEXT}c", "1")), 100))
        elif tag == f"{_TEXT}tab":
            _add_text(target, " ")
        elif tag == f"{_TEXT}line-break":
            etree.SubElement(target, "br")
        elif tag == f"{_TEXT}h":
            level = min(int(child.get(f"{_TEXT}outline-level", "1")), 6)
            self.write(child, etree.SubElement(target, f"h{level}"))
        elif tag == f"{_TEXT}a":
            self.write(child, etree.SubElement(target, "a", href=child.get(f"{_XLINK}href", "")))
        elif tag == f"{_DRAW}page":
            etree.SubElement(target, "h1").text = child.get(f"{_DRAW}name")
            self.write(child, target)
        elif tag in (f"{_SVG}title", f"{_SVG}desc"):
            etree.SubElement(target, "p").text = f"Picture: {child.text or ''}"
        elif tag in _ASIDES:
            said = " ".join(" ".join("".join(one.itertext()).split()) for one in child.iter(f"{_TEXT}p"))
            _add_text(target, f" ({_ASIDES[tag]}: {said}) ")
        elif tag == f"{_TABLE}table" and child.getparent().tag == f"{_OFFICE}spreadsheet":
            etree.SubElement(target, "h2").text = child.get(f"{_TABLE}name")
            self.write(child, etree.SubElement(target, "table"))
        elif tag == f"{_TABLE}table-row":
            self._row(child, target)
        elif tag == f"{_TEXT}list":
            kind = self._list_kinds.get(child.get(f"{_TEXT}style-name", ""), target.get("kind", "ul"))
            self.write(child, etree.SubElement(target, kind))
        elif tag in _BLOCKS:
            self.write(child, etree.SubElement(target, _BLOCKS[tag]))
        else:
            self.write(child, target)

    def _row(self, source: Any, target: Any) -> None:
        from lxml import etree

        name = "th" if source.getparent().tag == f"{_TABLE}table-header-rows" else "td"
        row = etree.Element("tr")
        for cell in source.iter(f"{_TABLE}table-cell"):
            if next(cell.iterancestors(f"{_TABLE}table-row")) is not source:
                continue  # of a table in a cell
            for _ in range(_repeated(cell, "columns")):
                spans = {
                    html: cell.get(_TABLE + own, "1")
                    for html, own in (("colspan", "number-columns-spanned"), ("rowspan", "number-rows-spanned"))
                }
                self.write(cell, etree.SubElement(row, name, {key: span for key, span in spans.items() if span != "1"}))
        if any(text.strip() for text in row.itertext()):
            for _ in range(_repeated(source, "rows")):
                target.append(deepcopy(row))


def _repeated(element: Any, kind: str) -> int:
    count = int(element.get(f"{_TABLE}number-{kind}-repeated", "1"))
    return count if count <= _MAX_REPEATED else 1


def _add_text(target: Any, text: str | None) -> None:
    if text:
        if len(target):
            target[-1].tail = (target[-1].tail or "") + text
        else:
            target.text = (target.text or "") + text


FORMATS = tuple(
    Format(
        name,
        (f".{kind}", *more),
        read_open_document,
        parsers=("lxml.etree", *PARSERS),
        media_types=(f"application/vnd.oasis.opendocument.{media_type}",),
    )
    for name, kind, media_type, more in (
        ("OpenDocument text", "odt", "text", (".ott",)),
        ("OpenDocument spreadsheet", "ods", "spreadsheet", (".ots",)),
        ("OpenDocument presentation", "odp", "presentation", (".otp",)),
    )
)
