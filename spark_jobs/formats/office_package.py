"""Office files are ZIP packages of XML: what is checked in all of them before a parser opens them.

Files saved as Strict Open XML hold the same elements under other namespaces, which no reader knows; they are given to
the readers under the usual ones.
"""

import io
import re
import zipfile
from typing import IO

from spark_jobs.formats.document import ParseLimits, Refused

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # older Office files, and newer ones under a password
_DTD = tuple(mark.encode(encoding) for mark in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le"))
_MAX_INFLATED_TIMES = 10  # XML deflates to a tenth of its size, a bomb to a thousandth
_STRICT_NAMESPACE = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/")
_USUAL_NAMESPACE = rb"http://schemas.openxmlformats.org/\1/2006/"
_SOFTWARE = ("openpyxl", "python-docx", "PptxGenJS", "Unknown", "Microsoft Office User")
"""What libraries and unregistered programs write in the place of an author."""


def open_office_package(file: IO[bytes], limits: ParseLimits, checks_dtd: bool = True) -> IO[bytes]:
    """The package in the usual namespaces, at its beginning. `checks_dtd`: False for books, whose pages may have one.

    Raises `Refused` for a file that is no Office package, is under a password, or inflates beyond all bounds.
    """
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
            _check_parts(package, limits, checks_dtd)
            opened = _in_usual_namespaces(package) if _is_strict(package) else file
    except zipfile.BadZipFile as error:
        raise Refused(f"damaged: no valid Office file ({error}). Get a whole copy, or save it anew.") from None
    opened.seek(0)
    return opened


def person(author: str | None) -> str | None:
    """The author that a file's properties name; None for none, and for the name of a program."""
    author = " ".join((author or "").split())
    return author if author and author not in _SOFTWARE else None


def _check_parts(package: zipfile.ZipFile, limits: ParseLimits, checks_dtd: bool) -> None:
    inflated_bytes = sum(part.file_size for part in package.infolist())
    max_bytes = _MAX_INFLATED_TIMES * limits.file_bytes
    if inflated_bytes > max_bytes:
        raise Refused(f"zip bomb: {inflated_bytes:,} bytes inflated, at most {max_bytes:,} are allowed. Remove it.")
    for part in package.infolist():
        # a DTD can read other files and grow without end; the standard of Office files forbids it
        if checks_dtd and part.filename.endswith((".xml", ".rels")):
            with package.open(part) as opened:
                head = opened.read(4096)
            if any(mark in head for mark in _DTD):
                raise Refused(f"its part {part.filename!r} declares a DTD, which Office files may not. Remove it.")


def _is_strict(package: zipfile.ZipFile) -> bool:
    return any(
        _STRICT_NAMESPACE.search(package.read(part)) for part in package.infolist() if part.filename == "_rels/.rels"
    )


def _in_usual_namespaces(package: zipfile.ZipFile) -> IO[bytes]:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as usual:
        for part in package.infolist():
            content = package.read(part)
            if part.filename.endswith((".xml", ".rels")):
                content = _STRICT_NAMESPACE.sub(_USUAL_NAMESPACE, content)
            usual.writestr(part.filename, content)
    return written
