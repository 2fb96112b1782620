"""Office files of more than plain paragraphs, built from their parts."""

import io
import re
import struct
import zipfile
from typing import Any

import openpyxl

from tests.spark_jobs.formats import samples

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_NAMESPACES = (
    f'xmlns:w="{WORD}" xmlns:r="{OFFICE}" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)


def paragraph(text: str, properties: str = "") -> str:
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def word_file(body: str, **parts: str) -> bytes:
    """A Word file with this body. `parts`: the content of further parts by name, e.g. styles, numbering, header."""
    roots = {"header": "hdr", "footer": "ftr"}
    relations = "".join(
        f'<Relationship Id="{name}" Type="{OFFICE}/{name}" Target="{name}.xml"/>' for name in parts if "/" not in name
    )
    written: dict[str, bytes | str] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{relations}</Relationships>',
        "word/document.xml": f"<w:document {_NAMESPACES}><w:body>{body}</w:body></w:document>",
    }
    for name, content in parts.items():
        root = roots.get(name, name)
        written[f"word/{name}.xml"] = f"<w:{root} {_NAMESPACES}>{content}</w:{root}>"
    return samples.zipped(written)


def as_strict(package: bytes) -> bytes:
    """An Office file as Office saves it as Strict Open XML."""
    with zipfile.ZipFile(io.BytesIO(package)) as parts:
        written = {name: parts.read(name).decode() for name in parts.namelist()}
    usual = re.compile(r"http://schemas\.openxmlformats\.org/(officeDocument|\w+ml)/2006/")
    return samples.zipped({name: usual.sub(r"http://purl.oclc.org/ooxml/\1/", text) for name, text in written.items()})


def workbook(**sheets: dict[str, Any]) -> bytes:
    """A workbook by sheet: a value by its cell; a pair is a value and its number format; `merged` lists ranges."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, cells in sheets.items():
        sheet = book.create_sheet(name)
        for place, content in cells.items():
            if place == "merged":
                for merged in content:
                    sheet.merge_cells(merged)
                continue
            value, number_format = content if isinstance(content, tuple) else (content, None)
            sheet[place] = value
            if number_format:
                sheet[place].number_format = number_format
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def open_document(kind: str, body: str, styles: str = "") -> bytes:
    """An OpenDocument file; `kind`: text, spreadsheet or presentation."""
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    names = {"office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style"}
    spaces = " ".join(f'xmlns:{prefix}="{urn}:{name}:1.0"' for prefix, name in names.items())
    return samples.zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {spaces}><office:body><office:{kind}>{body}</office:{kind}>"
            "</office:body></office:document-content>",
            "styles.xml": f"<office:document-styles {spaces}>{styles}</office:document-styles>",
            "meta.xml": f'<office:document-meta {spaces} xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<dc:creator>Mia Berg</dc:creator></office:document-meta>",
        }
    )


def binary_word(text: str, is_encrypted: bool = False) -> bytes:
    """A file of Word 97 with one piece of text."""
    start = 2048
    header = bytearray(start)
    struct.pack_into("<HHHHHH", header, 0, 0xA5EC, 0x00C1, 0, 0x0407, 0, 0x0100 if is_encrypted else 0)
    struct.pack_into("<H", header, 32, 14)
    struct.pack_into("<H", header, 62, 22)
    struct.pack_into("<I", header, 76, len(text))
    struct.pack_into("<H", header, 152, 0x5D)
    encoded = text.encode("utf-16-le")
    piece = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, start, 0)
    pieces = b"\x02" + struct.pack("<I", len(piece)) + piece
    struct.pack_into("<II", header, 154 + 33 * 8, 64, len(pieces))
    table = bytes(64) + pieces
    document = (bytes(header) + encoded).ljust(4096, b"\0")
    return samples.ole({"0Table": table.ljust(4096, b"\0"), "WordDocument": document})  # shorter names come first


def binary_powerpoint(master: str, *slides: str) -> bytes:
    """A file of PowerPoint 97: its master, then its slides, a text each."""

    def text(content: str) -> bytes:
        encoded = content.encode("utf-16-le")
        return struct.pack("<HHI", 0, 0x0FA0, len(encoded)) + encoded

    def container(kind: int, content: bytes) -> bytes:
        return struct.pack("<HHI", 0xF, kind, len(content)) + content

    stream = container(0x03F8, text(master)) + b"".join(container(0x03EE, text(slide)) for slide in slides)
    return samples.ole({"Current User": bytes(4096), "PowerPoint Document": stream.ljust(4096, b"\0")})
