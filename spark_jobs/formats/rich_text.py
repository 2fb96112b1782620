"""Rich text (.rtf) and binary files of Word and PowerPoint (.doc, .ppt) as Markdown, by kreuzberg."""

import functools
import re
import struct
from collections.abc import Callable
from typing import IO, Any

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused
from spark_jobs.formats.format import FileReader, Format
from spark_jobs.formats.html import PARSERS, html_to_markdown
from spark_jobs.formats.office_package import person

_POWERPOINT = "PowerPoint Document"
_MASTER, _CHARACTERS, _BYTES = 0x03F8, 0x0FA0, 0x0FA8  # types of records in that stream
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def kreuzberg_reader(media_type: str, left_out: Callable[[IO[bytes]], set[str]]) -> FileReader:
    """A reader of the files that kreuzberg knows by a media type.

    `left_out` gives the lines that are no content, and raises `Refused` for a file of another kind.
    """

    def read(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
        import kreuzberg

        lines_left_out = left_out(file)
        file.seek(0)
        result = kreuzberg.extract_bytes_sync(file.read(), media_type, _configuration())
        _, text = html_to_markdown(result.content)
        if lines_left_out:
            text = "\n\n".join(block for block in text.split("\n\n") if block.lstrip("# ") not in lines_left_out)
        authors = result.metadata.get("authors") or ()
        return ExtractedText(text, author=person(", ".join(authors)))

    return read


@functools.cache
def _configuration() -> Any:
    """HTML, from which Markdown is made as from other pages; nothing is cached on disk, and no thread is started."""
    from kreuzberg import ConcurrencyConfig, ContentFilterConfig, ExtractionConfig

    return ExtractionConfig(
        output_format="html",
        use_cache=False,
        enable_quality_processing=False,
        concurrency=ConcurrencyConfig(max_threads=1),
        content_filter=ContentFilterConfig(include_headers=True, include_footers=True, strip_repeating_text=False),
    )


def _check_rtf(file: IO[bytes]) -> set[str]:
    if not file.read(5).startswith(b"{\\rt"):
        raise Refused("damaged: no valid .rtf file, it does not begin with {\\rtf. Get a whole copy, or save it anew.")
    return set()


def _check_ole(file: IO[bytes]) -> set[str]:
    import olefile

    if file.read(8) != _OLE:
        raise Refused("not a binary Office file, as its suffix says. Give it the suffix of its format, e.g. .docx.")
    file.seek(0)
    with olefile.OleFileIO(file) as streams:
        is_locked = streams.exists("EncryptedPackage") or streams.exists("EncryptedSummary")
        if streams.exists("WordDocument"):
            flags = streams.openstream("WordDocument").read(12)[11:]
            is_locked = is_locked or bool(flags and flags[0] & 1)
        if is_locked:
            raise Refused("encrypted: the file is under a password. Save it without one.")
        return _master_texts(streams.openstream(_POWERPOINT).read()) if streams.exists(_POWERPOINT) else set()


def _master_texts(stream: bytes) -> set[str]:
    """The texts of the masters of slides, `Click to edit Master title style`, which kreuzberg gives as slides."""
    texts = {"---"}  # between slides
    at = master_end = 0
    while at + 8 <= len(stream):
        version, kind, size = struct.unpack_from("<HHI", stream, at)
        at += 8
        if kind == _MASTER:
            master_end = at + size
        if kind in (_CHARACTERS, _BYTES) and at < master_end:
            text = stream[at : at + size].decode("utf-16-le" if kind == _CHARACTERS else "cp1252", errors="replace")
            texts |= {" ".join(line.split()) for line in re.split(r"[\r\v]", text)}
        if version & 0xF != 0xF:  # not a container of records
            at += size
    return texts


_PARSERS = ("kreuzberg", "olefile", *PARSERS)
FORMATS = (
    Format(
        "rich text",
        (".rtf",),
        kreuzberg_reader("application/rtf", _check_rtf),
        parsers=_PARSERS,
        media_types=("application/rtf", "text/rtf"),
    ),
    Format(
        "Word 97 to 2003",
        (".doc", ".dot"),
        kreuzberg_reader("application/msword", _check_ole),
        parsers=_PARSERS,
        media_types=("application/msword",),
    ),
    Format(
        "PowerPoint 97 to 2003",
        (".ppt", ".pps"),
        kreuzberg_reader("application/vnd.ms-powerpoint", _check_ole),
        parsers=_PARSERS,
        media_types=("application/vnd.ms-powerpoint",),
    ),
)
