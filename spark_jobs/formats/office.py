"""Office files, tables and mails as Markdown. Runs in the converting process only: these parsers may hang or swell.

Text is taken and nothing is run: macros lie in parts that no reader here opens, formulas count as the value that was
stored with them, and what a document links to is not fetched.
"""

import csv
import io
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from importlib import import_module
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

from spark_jobs.formats.markdown import html_to_markdown, markdown_title
from spark_jobs.formats.parsing import Document, Limits, Refused, decoded, file_document, parse_file, too_large

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # older Office files, and newer ones under a password
_DTD = tuple(mark.encode(encoding) for mark in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le"))
_INFLATED_TIMES = 10  # XML deflates to a tenth; a bomb to a thousandth
_SNIFFED_CHARACTERS = 65536
_WITH_HEADINGS = (".docx", ".docm", ".pptx", ".pptm")


class Content(NamedTuple):
    """What a reader finds in a file; an empty title means that the text or the file's name has to give it."""

    text: str
    title: str = ""
    updated_at: datetime | None = None


def prepared(suffix: str) -> tuple[str, ...]:
    """Modules that reading such a file takes; they are imported before its time counts."""
    return _READERS[suffix][1] if suffix in _READERS else ("bs4", "markdownify") if suffix in (".html", ".htm") else ()


def prepare(suffix: str) -> None:
    for module in prepared(suffix):
        import_module(module)


def read_document(doc_id: str, uri: str, file: IO[bytes], limits: Limits) -> Document:
    """The document of one file that holds no other. `Refused` with the reason when there is none."""
    path = PurePosixPath(doc_id)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        content = file.read(limits.document_bytes + 1)
        if len(content) > limits.document_bytes:
            raise Refused(too_large(file.seek(0, io.SEEK_END), limits.document_bytes))
        parsed = parse_file(doc_id, uri, content)
        if not isinstance(parsed, Document):
            raise Refused(parsed.reason)
    else:
        try:
            found = _READERS[suffix][0](file, limits)
        except (Refused, MemoryError):
            raise
        except RecursionError:
            raise Refused(f"a {suffix} file nested too deep to read. Simplify it, or convert it to Markdown.") from None
        except Exception as error:  # a parser's own, of any kind: the file is not what its name says
            shown = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise Refused(f"damaged: no valid {suffix} file ({shown}). Repair it, or save it anew.") from error
        text = found.text.replace("\0", "").encode(errors="replace").decode()
        heading = markdown_title(text) if suffix in _WITH_HEADINGS else None
        parsed = file_document(doc_id, uri, found.title or heading or "", text, found.updated_at)
    if (size := len(parsed.text.encode())) > limits.document_bytes:
        raise Refused(too_large(size, limits.document_bytes))
    return parsed


def check_office(file: IO[bytes], limits: Limits) -> None:
    """`Refused` for what is no Office file, is under a password, or would inflate beyond all bounds."""
    start = file.read(8)
    file.seek(0)
    if start == _OLE:
        import olefile

        with olefile.OleFileIO(file) as streams:
            if streams.exists("EncryptedPackage"):
                raise Refused("encrypted: the file is under a password. Save it without one.")
        raise Refused("an older binary Office file under a new name. Save it in today's format.")
    try:
        with zipfile.ZipFile(file) as package:
            inflated = sum(part.file_size for part in package.infolist())
            if inflated > (most := _INFLATED_TIMES * limits.file_bytes):
                raise Refused(f"zip bomb: {inflated:,} bytes inflated, at most {most:,} are allowed. Remove it.")
            for part in package.infolist():
                # a DTD can read other files and swell without end; the standard of Office files forbids it
                if part.filename.endswith((".xml", ".rels")):
                    with package.open(part) as opened:
                        head = opened.read(4096)
                    if any(mark in head for mark in _DTD):
                        raise Refused(
                            f"its part {part.filename!r} declares a DTD, which Office files may not. Remove it."
                        )
    except zipfile.BadZipFile as error:
        raise Refused(f"damaged: no valid Office file ({error}). Get a whole copy, or save it anew.") from None
    file.seek(0)


def _by_markitdown(converter: str, extension: str) -> Callable[[IO[bytes], Limits], Content]:
    def read(file: IO[bytes], limits: Limits) -> Content:
        from markitdown import StreamInfo, converters

        check_office(file, limits)
        found = getattr(converters, converter)().convert(file, StreamInfo(extension=extension))
        return Content(found.markdown)

    return read


def _xlsx(file: IO[bytes], limits: Limits) -> Content:
    import openpyxl

    check_office(file, limits)
    book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)

    def rows(sheet: Any) -> Iterator[list[str]]:
        sheet.reset_dimensions()  # a wrong one pads every row to 16,384 cells
        for row in sheet.iter_rows(values_only=True):
            yield ["" if value is None else str(value) for value in row]

    return Content(_sheets(((sheet.title, rows(sheet)) for sheet in book.worksheets), limits))


def _xls(file: IO[bytes], limits: Limits) -> Content:
    import xlrd

    try:
        book = xlrd.open_workbook(file_contents=file.read(), on_demand=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise Refused("encrypted: the workbook is under a password. Save it without one.") from None
        raise

    def rows(sheet: Any) -> Iterator[list[str]]:
        for row in sheet.get_rows():
            yield [_xls_value(cell, book.datemode) for cell in row]

    return Content(_sheets(((name, rows(book.sheet_by_name(name))) for name in book.sheet_names()), limits))


def _xls_value(cell: Any, date_mode: int) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            return str(xlrd.xldate_as_datetime(cell.value, date_mode))
        except (ValueError, OverflowError):
            return str(cell.value)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return str(bool(cell.value))
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    is_whole = isinstance(cell.value, float) and cell.value.is_integer()
    return str(int(cell.value)) if is_whole else str(cell.value)


def _sheets(sheets: Iterable[tuple[str, Iterable[list[str]]]], limits: Limits) -> str:
    """A section a sheet that is not empty."""
    texts = ((title, table(rows, limits)) for title, rows in sheets)
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in texts if text)


def _delimited(file: IO[bytes], limits: Limits) -> Content:
    content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):  # what Excel calls "Unicode text"
        text = content.decode("utf-16", errors="replace")
    else:
        text = decoded(content)
    if "\0" in text[:_SNIFFED_CHARACTERS]:
        raise Refused("binary file: holds NUL bytes, must be a table of text. Save it as CSV.")
    try:
        dialect: Any = csv.Sniffer().sniff(text[:_SNIFFED_CHARACTERS], delimiters=",;\t|")
    except csv.Error:  # one column
        dialect = csv.excel
    csv.field_size_limit(limits.document_bytes)
    return Content(table(csv.reader(io.StringIO(text, newline=""), dialect), limits))


def table(rows: Iterable[list[str]], limits: Limits) -> str:
    """Rows as a Markdown table under the first of them; empty rows and empty cells at the end of rows are left out.

    `Refused` as soon as it is larger than a document may be, however many rows are still to come.
    """
    lines: list[str] = []
    width = size = 0
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        width = max(width, len(cells))
        lines.append("| " + " | ".join(cells) + " |")
        size += len(lines[-1])
        if size > limits.document_bytes:
            most = f"at most {limits.document_bytes:,} are allowed"
            raise Refused(f"oversize: a table of over {size:,} characters, {most}. Split it into files of fewer rows.")
    if not lines:
        return ""
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _eml(file: IO[bytes], limits: Limits) -> Content:
    return mail_content(read_mail(file))


def read_mail(file: IO[bytes]) -> EmailMessage:
    """A mail as stored by mail programs. `Refused` when it has neither sender nor subject nor date."""
    from email import policy
    from email.parser import BytesParser

    mail: EmailMessage = BytesParser(policy=policy.default).parse(file)
    if not any(name in mail for name in ("From", "Subject", "Date", "Message-ID")):
        raise Refused("damaged: no mail (it has no From, Subject, Date or Message-ID). Export it again as .eml.")
    return mail


def mail_content(mail: EmailMessage) -> Content:
    """Who wrote to whom and when, then the text: its plain form, else its HTML form."""
    subject = str(mail.get("Subject", "")).strip()
    headers = {name: str(mail[name]).strip() for name in ("From", "To", "Cc", "Date") if mail[name]}
    body = mail.get_body(preferencelist=("plain", "html"))
    text = ""
    if isinstance(body, EmailMessage):
        charset = str(body.get_content_charset() or "utf-8")
        payload = body.get_payload(decode=True)
        text = _decoded_as(payload if isinstance(payload, bytes) else b"", charset)
        if body.get_content_type() == "text/html":
            text = html_to_markdown(text)[1]
    date = getattr(mail["Date"], "datetime", None)
    moment = None if date is None else date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    return Content(_mail_text(subject, headers, text), subject, moment)


def _decoded_as(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, errors="replace")
    except LookupError:
        return content.decode("utf-8", errors="replace")


def _mail_text(subject: str, headers: dict[str, str], text: str) -> str:
    head = [f"# {subject}", ""] if subject else []
    return "\n".join([*head, *(f"- {name}: {value}" for name, value in headers.items()), "", text.strip(), ""])


def _msg(file: IO[bytes], limits: Limits) -> Content:
    import olefile

    with olefile.OleFileIO(file) as streams:
        subject = msg_string(streams, "__substg1.0_0037")
        headers = {"From": msg_string(streams, "__substg1.0_0C1A") or msg_string(streams, "__substg1.0_0C1F")}
        headers |= {"To": msg_string(streams, "__substg1.0_0E04"), "Cc": msg_string(streams, "__substg1.0_0E03")}
        text = msg_string(streams, "__substg1.0_1000")
        if not text and streams.exists("__substg1.0_10130102"):
            text = html_to_markdown(_decoded_as(streams.openstream("__substg1.0_10130102").read(), "utf-8"))[1]
    given = {name: value for name, value in headers.items() if value}
    if not subject and not given and not text:
        raise Refused("damaged: no Outlook mail in it. Save it again as .msg or .eml.")
    return Content(_mail_text(subject, given, text), subject)


def msg_string(streams: Any, name: str) -> str:
    """A property of an Outlook mail, in whichever of the two forms it was stored; empty when there is none."""
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252")):
        if streams.exists(name + kind):
            content: bytes = streams.openstream(name + kind).read()
            return content.decode(encoding, errors="replace").strip("\0 \r\n")
    return ""


def msg_attachments(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of the files that an Outlook mail carries; none of a file that is no such mail."""
    import olefile

    if not olefile.isOleFile(file):
        return
    with olefile.OleFileIO(file) as streams:
        folders = sorted({entry[0] for entry in streams.listdir() if entry[0].startswith("__attach_version1.0_#")})
        for number, folder in zip(itertools.count(1), folders, strict=False):
            if not streams.exists(f"{folder}/__substg1.0_37010102"):
                continue
            name = msg_string(streams, f"{folder}/__substg1.0_3707") or msg_string(
                streams, f"{folder}/__substg1.0_3704"
            )
            yield name or f"attachment-{number}", streams.openstream(f"{folder}/__substg1.0_37010102").read()


def _pdf(file: IO[bytes], limits: Limits) -> Content:
    from spark_jobs.formats.pdf import read_pdf

    return Content(*read_pdf(file))


_DOCX = (_by_markitdown("DocxConverter", ".docx"), ("markitdown.converters", "lxml.etree", "bs4"))
_PPTX = (_by_markitdown("PptxConverter", ".pptx"), ("markitdown.converters",))
_XLSX = (_xlsx, ("openpyxl",))
_READERS: dict[str, tuple[Callable[[IO[bytes], Limits], Content], tuple[str, ...]]] = {
    ".pdf": (_pdf, ("markitdown.converters", "pypdfium2")),
    ".docx": _DOCX,
    ".docm": _DOCX,
    ".pptx": _PPTX,
    ".pptm": _PPTX,
    ".xlsx": _XLSX,
    ".xlsm": _XLSX,
    ".xls": (_xls, ("xlrd",)),
    ".csv": (_delimited, ()),
    ".tsv": (_delimited, ()),
    ".eml": (_eml, ("email.parser", "bs4", "markdownify")),
    ".msg": (_msg, ("olefile", "bs4", "markdownify")),
}
