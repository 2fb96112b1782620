"""Files of the formats that parsers read, sound and hostile, built from their parts."""

import io
import struct
import zipfile
from email.message import EmailMessage

from PIL import Image, ImageDraw, ImageFont

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>
<Override PartName="/word/document.xml" ContentType="{}"/></Types>"""
_RELATIONS = f"""<?xml version="1.0"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/></Relationships>"""
_DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_DOCM_TYPE = "application/vnd.ms-word.document.macroEnabled.main+xml"


def zipped(members: dict[str, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def docx(*paragraphs: str, prolog: str = "", macro: bytes = b"") -> bytes:
    """A Word file; `macro`: its VBA project; `prolog`: text before the root of the document."""
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in paragraphs)
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": _TYPES.format(_DOCM_TYPE if macro else _DOCX_TYPE),
        "_rels/.rels": _RELATIONS,
        "word/document.xml": f'<?xml version="1.0"?>{prolog}<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body>'
        "</w:document>",
    }
    return zipped(members | ({"word/vbaProject.bin": macro} if macro else {}))


def xlsx(sheets: dict[str, list[list[object]]]) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def pptx(title: str, text: str) -> bytes:
    import pptx

    presentation = pptx.Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = title, text
    packed = io.BytesIO()
    presentation.save(packed)
    return packed.getvalue()


def pdf(*pages: str, trailer: str = "") -> bytes:
    """A PDF with one line of text on each page; `trailer`: further entries of its trailer."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects += [f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()]
    objects += [b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for number, text in enumerate(pages):
        drawn = f"BT /F1 18 Tf 72 700 Td ({text}) Tj ET".encode()
        page = f"/MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R /Resources << /Font << /F1 3 0 R >> >>"
        objects += [f"<< /Type /Page /Parent 2 0 R {page} >>".encode()]
        objects += [b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn)]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start, size = len(out), len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return bytes(out) + f"trailer\n<< /Size {size} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()


def pdf_form(fields: dict[str, str], note: str, secret: str, author: str) -> bytes:
    """A PDF with filled text fields, a field for a password, and a note."""
    widget = "/Type /Annot /Subtype /Widget /FT /Tx /Rect [72 600 300 620] /P 4 0 R"
    drawn = [f"<< {widget} /T ({name}) /V ({value}) >>" for name, value in fields.items()]
    drawn += [f"<< {widget} /T (Secret) /Ff 8192 /V ({secret}) >>"]
    drawn += [f"<< /Type /Annot /Subtype /FreeText /Rect [72 500 300 520] /Contents ({note}) /DA (/F1 12 Tf) >>"]
    numbers = " ".join(f"{number} 0 R" for number in range(6, 6 + len(drawn)))
    plain = pdf("Form.").decode()
    page = plain.replace("/MediaBox", f"/Annots [{numbers}] /MediaBox").replace(
        "/Pages 2 0 R >>", f"/Pages 2 0 R /AcroForm << /Fields [{numbers}] >> >>"
    )
    drawn.append(f"<< /Author ({author}) >>")
    info, size = 5 + len(drawn), 6 + len(drawn)
    objects = "".join(f"{number} 0 obj\n{content}\nendobj\n" for number, content in enumerate(drawn, start=6))
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R /Info {info} 0 R >>\n%%EOF\n"
    return (page[: page.index("xref")] + objects + trailer).encode()


def encrypted_pdf() -> bytes:
    """A PDF whose password is unknown."""
    entries = f"/Filter /Standard /V 1 /R 2 /P -4 /O <{'41' * 32}> /U <{'42' * 32}>"
    return pdf("Secret.", trailer=f"/Encrypt << {entries} >> /ID [<{'00' * 16}> <{'00' * 16}>]")


def scanned_pdf(*pages: str) -> bytes:
    """A PDF of pictures of text, as a scanner makes it."""
    drawn = []
    for text in pages:
        picture = Image.new("RGB", (1240, 1754), "white")
        ImageDraw.Draw(picture).text((100, 200), text, fill="black", font=ImageFont.load_default(48))
        drawn.append(picture)
    out = io.BytesIO()
    drawn[0].save(out, "PDF", resolution=150, save_all=True, append_images=drawn[1:])
    return out.getvalue()


def encrypted_office() -> bytes:
    """The shell that Office puts around a file under a password: an OLE file with a stream `EncryptedPackage`."""
    return ole({"EncryptedPackage": b"?" * 4096})


def outlook_mail(properties: dict[str, str], html: str, attachments: dict[str, bytes]) -> bytes:
    """A .msg file. `properties`: text by MAPI tag, e.g. 0037 for the subject; attachments have 4,096 bytes or more."""
    streams = {f"__substg1.0_{tag}001F": text.encode("utf-16-le") for tag, text in properties.items()}
    streams["__substg1.0_10130102"] = html.encode().ljust(4096)
    for number, (name, content) in enumerate(attachments.items()):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = content
    return ole({path: content.ljust(4096, b"\0") for path, content in streams.items()})


def ole(streams: dict[str, bytes]) -> bytes:
    """An OLE file. Streams have 4,096 bytes or more, because smaller streams need a table that this does not write."""
    end, free, table = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
    folders = list(dict.fromkeys(path.partition("/")[0] for path in streams if "/" in path))
    paths = [path for path in streams if "/" not in path] + folders + [path for path in streams if "/" in path]
    directory_sectors = -(-(len(paths) + 1) // 4)
    sectors = [table, *range(2, directory_sectors + 1), end]
    data, starts = b"", {}
    for path, content in streams.items():
        count = -(-len(content) // 512)
        starts[path] = len(sectors)
        sectors += [*range(len(sectors) + 1, len(sectors) + count), end]
        data += content.ljust(count * 512, b"\0")
    assert len(sectors) <= 128

    def entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
        encoded = (name + "\0").encode("utf-16-le")
        head = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, free, right, child)
        return head + bytes(36) + struct.pack("<IQ", start, size)

    def next_sibling(position: int) -> int:
        folder = paths[position].rpartition("/")[0]
        later = (n for n in range(position + 1, len(paths)) if paths[n].rpartition("/")[0] == folder)
        return next((n + 1 for n in later), free)

    directory = entry("Root Entry", 5, free, 1, end, 0)
    for position, path in enumerate(paths):
        if path in streams:
            name = path.rpartition("/")[2]
            directory += entry(name, 2, next_sibling(position), free, starts[path], len(streams[path]))
        else:
            child = next(n + 1 for n, inner in enumerate(paths) if inner.startswith(f"{path}/"))
            directory += entry(path, 1, next_sibling(position), child, end, 0)
    unused = (bytes(68) + struct.pack("<III", free, free, free)).ljust(128, b"\0")
    directory += unused * (4 * directory_sectors - len(paths) - 1)
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, end, 0, end, 0) + struct.pack("<I", 0)
    allocation = b"".join(struct.pack("<I", sector) for sector in sectors)
    return header.ljust(512, b"\xff") + allocation.ljust(512, b"\xff") + directory + data


def encrypted_zip(members: dict[str, bytes | str], locked: str) -> bytes:
    """A ZIP whose member `locked` is marked as encrypted, in both of its headers."""
    content = bytearray(zipped(members))
    for mark, flags, name in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            if content[at + name :].startswith(locked.encode()):
                content[at + flags] |= 1
    return bytes(content)


def mail(subject: str, text: str, attachments: dict[str, bytes]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "mia@example.com", "team@example.com", subject
    message["Date"] = "Thu, 05 Nov 2026 10:30:00 +0100"
    message.set_content(text)
    for name, content in attachments.items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()
