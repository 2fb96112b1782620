"""Office files are ZIP packages of XML: what is checked in all of them before a parser opens them."""

import zipfile
from typing import IO

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import FileReader

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # older Office files, and newer ones under a password
_DTD = tuple(mark.encode(encoding) for mark in ("<!DOCTYPE", "<!ENTITY") for encoding in ("utf-8", "utf-16-le"))
_MAX_INFLATED_TIMES = 10  # XML deflates to a tenth of its size, a bomb to a thousandth


def markitdown_reader(converter: str, extension: str) -> FileReader:
    """A reader by the converter of that name in `markitdown.converters`. Macros are parts that no reader opens."""

    def read(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
        from markitdown import StreamInfo, converters

        check_office_package(file, limits)
        result = getattr(converters, converter)().convert(file, StreamInfo(extension=extension))
        return ExtractedText(result.markdown)

    return read


def check_office_package(file: IO[bytes], limits: ParseLimits) -> None:
    """Raises `Refused` for a file that is no Office package, is under a password, or inflates beyond all bounds."""
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
            _check_parts(package, limits)
    except zipfile.BadZipFile as error:
        raise Refused(f"damaged: no valid Office file ({error}). Get a whole copy, or save it anew.") from None
    file.seek(0)


def _check_parts(package: zipfile.ZipFile, limits: ParseLimits) -> None:
    inflated_bytes = sum(part.file_size for part in package.infolist())
    max_bytes = _MAX_INFLATED_TIMES * limits.file_bytes
    if inflated_bytes > max_bytes:
        raise Refused(f"zip bomb: {inflated_bytes:,} bytes inflated, at most {max_bytes:,} are allowed. Remove it.")
    for part in package.infolist():
        # a DTD can read other files and grow without end; the standard of Office files forbids it
        if part.filename.endswith((".xml", ".rels")):
            with package.open(part) as opened:
                head = opened.read(4096)
            if any(mark in head for mark in _DTD):
                raise Refused(f"its part {part.filename!r} declares a DTD, which Office files may not. Remove it.")
