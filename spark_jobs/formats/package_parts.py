"""The parts of an Office package: XML by name, and which part refers to which."""

import posixpath
import zipfile
from collections.abc import Iterator

from lxml import etree

OFFICE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def parsed(parts: zipfile.ZipFile, name: str | None) -> etree._Element | None:
    """The root of a part; None for a part that is not there."""
    if name is None or name not in parts.namelist():
        return None
    return etree.fromstring(parts.read(name), etree.XMLParser(resolve_entities=False, no_network=True))


def relations(parts: zipfile.ZipFile, source: str) -> Iterator[tuple[str, str, str]]:
    """Kind, path and id of each part that a part refers to; `source` is empty for the package itself."""
    folder, name = posixpath.split(source)
    found = parsed(parts, posixpath.join(folder, "_rels", f"{name}.rels"))
    for relation in () if found is None else found:
        path = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/")
        yield relation.get("Type", "").rpartition("/")[2], path, relation.get("Id", "")


def main_part(parts: zipfile.ZipFile, usual: str) -> str:
    """The path of the document, the workbook or the presentation itself."""
    return next((path for kind, path, _ in relations(parts, "") if kind == "officeDocument"), usual)
