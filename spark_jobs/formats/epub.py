"""Books (.epub) as Markdown: the chapters in their order of reading, each as other HTML pages are read."""

import posixpath
import zipfile
from typing import IO, Any
from urllib.parse import unquote

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.encodings import declared_in_markup, decode
from spark_jobs.formats.format import Format
from spark_jobs.formats.html import PARSERS, html_to_markdown
from spark_jobs.formats.office_package import open_office_package, person

_DC = "{http://purl.org/dc/elements/1.1/}"
_OPF = "{http://www.idpf.org/2007/opf}"
_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html")


def read_epub(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    package = open_office_package(file, limits, checks_dtd=False)
    with zipfile.ZipFile(package) as parts:
        if "META-INF/encryption.xml" in parts.namelist() and "META-INF/rights.xml" in parts.namelist():
            raise Refused("encrypted: the book is under digital rights management. Use a copy without it.")
        place = _parsed(parts, _CONTAINER).find(".//{*}rootfile").get("full-path", "")
        book = _parsed(parts, place)
        items = {item.get("id"): item for item in book.iter(f"{_OPF}item")}
        chapters = []
        for reference in book.iter(f"{_OPF}itemref"):
            item = items.get(reference.get("idref"))
            if item is None or item.get("media-type") not in _PAGES or "nav" in item.get("properties", "").split():
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(place), unquote(item.get("href", ""))))
            content = parts.read(path)
            chapters.append(html_to_markdown(decode(content, declared_in_markup(content)))[1])
    title = " ".join((book.findtext(f".//{_DC}title") or "").split())
    return ExtractedText("\n\n".join(filter(None, chapters)), title or None, author=person(_authors(book)))


def _authors(book: Any) -> str:
    return ", ".join(filter(None, (" ".join((one.text or "").split()) for one in book.iter(f"{_DC}creator"))))


def _parsed(parts: zipfile.ZipFile, name: str) -> Any:
    from lxml import etree

    return etree.fromstring(parts.read(name), etree.XMLParser(resolve_entities=False, no_network=True))


FORMATS = (
    Format("EPUB", (".epub",), read_epub, parsers=("lxml.etree", *PARSERS), media_types=("application/epub+zip",)),
)
