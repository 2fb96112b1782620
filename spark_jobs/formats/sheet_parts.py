"""What belongs to a sheet of a workbook and is none of its cells' values.

openpyxl knows these things only with all cells of a sheet in memory, so they are read from the parts of the package.
"""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, NamedTuple

from lxml import etree

from spark_jobs.formats.package_parts import OFFICE, main_part, parsed, relations

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
_THREADED = "{http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments}"
_RANGE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})(?::\$?([A-Z]{1,3})\$?(\d{1,7}))?")
# in a header or footer: a font, a size, a colour, a style, or a field such as the number of the page
_HEADER_CODES = re.compile(r'&(?:"[^"]*"|\d+|K[\dA-F]{6}|&|.)')
_FURNITURE = {"oddHeader": "Page header", "oddFooter": "Page footer"}


class Merge(NamedTuple):
    """A merged cell: its rows and columns from 0, the ends included."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass
class SheetParts:
    """What a sheet holds beside values: merged cells, formulas, and the texts around its cells."""

    merges: list[Merge] = field(default_factory=list)
    has_formulas: bool = False
    texts: list[str] = field(default_factory=list)


def sheet_parts(package: IO[bytes]) -> dict[str, SheetParts]:
    """The parts of each sheet by its name."""
    found = {}
    with zipfile.ZipFile(package) as parts:
        main = main_part(parts, "xl/workbook.xml")
        paths = {relation_id: path for _, path, relation_id in relations(parts, main)}
        workbook = parsed(parts, main)
        for sheet in () if workbook is None else workbook.iter(f"{_S}sheet"):
            path = paths.get(sheet.get(f"{OFFICE}id", ""), "")
            if path in parts.namelist():
                found[sheet.get("name", "")] = _sheet(parts, path)
    package.seek(0)
    return found


def _sheet(parts: zipfile.ZipFile, path: str) -> SheetParts:
    sheet = SheetParts()
    tags = [_S + name for name in ("row", "f", "mergeCell", *_FURNITURE)]
    with parts.open(path) as part:
        for _, element in etree.iterparse(part, tag=tags, resolve_entities=False, no_network=True):
            name = element.tag.removeprefix(_S)
            if name == "f":
                sheet.has_formulas = True
            elif name == "mergeCell" and (merge := _merge(element.get("ref", ""))):
                sheet.merges.append(merge)
            elif name in _FURNITURE and (text := _furniture(element.text or "")):
                sheet.texts.append(f"{_FURNITURE[name]}: {text}")
            elif name == "row":
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    for kind, related, _ in relations(parts, path):
        sheet.texts += _texts(kind, parsed(parts, related))
    return sheet


def _merge(reference: str) -> Merge | None:
    match = _RANGE.fullmatch(reference)
    if match is None:
        return None
    left, top, right, bottom = match.groups()
    return Merge(int(top) - 1, _column(left), int(bottom or top) - 1, _column(right or left))


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _furniture(codes: str) -> str:
    """The text of a page header: `&LQMH-8842&RPage &P` reads `QMH-8842 Page`."""
    return " ".join(_HEADER_CODES.sub(lambda code: "&" if code[0] == "&&" else " ", codes).split())


def _texts(kind: str, part: etree._Element | None) -> Iterator[str]:
    """Comments on cells, and the texts of boxes that are drawn on the sheet."""
    if part is None:
        return
    if kind == "comments":
        for comment in part.iter(f"{_S}comment"):
            text = " ".join("".join(one.text or "" for one in comment.iter(f"{_S}t")).split())
            if text and not text.startswith("[Threaded comment]"):  # a copy for old programs, with advice for them
                yield f"Comment on {comment.get('ref')}: {text}"
    elif kind == "threadedComment":
        for comment in part.iter(f"{_THREADED}threadedComment"):
            yield f"Comment on {comment.get('ref')}: {' '.join(comment.findtext(f'{_THREADED}text', '').split())}"
    elif kind == "drawing":
        for shape in part.iter(f"{_DRAWING}sp"):
            if text := " ".join(" ".join(one.text or "" for one in shape.iter(f"{_A}t")).split()):
                yield text
