"""Bytes as text: the one place that decides in which encoding they are.

A byte order mark decides, then UTF-8, then what the format declares, then a detector. UTF-8 comes before a declared
encoding because it fits by accident only in a handful of bytes, while `windows-1252` fits nearly all, and pages keep
an old declaration when a program saves them anew. A text that no encoding explains is refused: a wrong guess would
alter words in silence.
"""

import codecs
import re
import unicodedata
from typing import NoReturn

import w3lib.encoding
from chardetng_py import EncodingDetector

from spark_jobs.formats.document import Refused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PROBE = 8192  # bytes or characters that tell a binary file
_DETECTED_BYTES = 1 << 17
_HIRAGANA = re.compile(rb"\x82[\x9f-\xf1]")  # in Shift JIS
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")  # what Cyrillic letters become when read as Shift JIS
_NON_ASCII = re.compile(rb"[\x80-\xff]")
_ESCAPED = ("iso2022", "iso-2022", "hz", "utf-7", "utf_7")  # these write other letters as ASCII
_NO_CHARSETS = ("punycode", "idna", "undefined", "unicode_escape", "unicode-escape", "raw_unicode", "raw-unicode")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")  # without tabs, line ends and escapes
_TOLERATED_CONTROLS, _MAX_CONTROL_SHARE = 4, 0.01
_NO_TEXT = ("Cc", "Cn", "Co", "Cs")  # categories of characters that no text in UTF-16 holds


def decode(content: bytes, declared: str | None = None) -> str:
    """The text without its byte order mark. `declared`: the name that the format or the server gives, if any.

    Raises `Refused` for binary content, and for text in an encoding that cannot be told; the reason names it.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return _by_mark(content[len(mark) :], encoding)
    if b"\0" in content[:_PROBE]:
        return _utf16(content)
    codec = _codec(declared or "")
    text = _escaped(content, codec) if b"\x1b$" in content or content.isascii() else None
    for attempt in ("utf-8", codec):
        text = _try(content, attempt) if text is None else text
    if text is None:
        text = _detected(content, declared)
    start = text[:_PROBE]
    if len(_CONTROLS.findall(start)) > max(_TOLERATED_CONTROLS, _MAX_CONTROL_SHARE * len(start)):
        raise Refused("binary file: holds control characters, must be text. Convert it to Markdown, text or HTML.")
    return text


def in_utf8(content: bytes, declared: str) -> bytes:
    """Text with the mark of UTF-8, so that a page's own declaration yields to its server's; other bytes as they are."""
    try:
        return decode(content, declared).encode("utf-8-sig")
    except Refused:
        return content


def declared_in_markup(content: bytes) -> str | None:
    """The charset that `<meta>` or the XML declaration at the top of a page or document names."""
    return w3lib.encoding.html_body_declared_encoding(content)


def _codec(name: str) -> str | None:
    """Python's codec of a charset's name as browsers take it: `latin-1` is windows-1252, `gb2312` is gb18030."""
    name = name.strip().lower().removesuffix("-i")  # iso-8859-8-i: Hebrew in logical order
    if not name or name in ("us-ascii", "ascii", "unknown-8bit"):  # of eight-bit text these say nothing
        return None
    try:
        codec = w3lib.encoding.resolve_encoding(name)
    except (ValueError, LookupError):
        return None
    return None if codec is None or codec.startswith(_NO_CHARSETS) else codec


def _by_mark(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        raise Refused(
            f"invalid {name}: it begins with the byte order mark of {name}, but byte {content[error.start]:#04x} at "
            f"offset {error.start} does not fit. Save it as UTF-8."
        ) from None


def _try(content: bytes, codec: str | None) -> str | None:
    try:
        return content.decode(codec) if codec else None
    except (UnicodeError, LookupError):
        return None


def _escaped(content: bytes, codec: str | None) -> str | None:
    """Text in an encoding whose bytes are all ASCII: Japanese mails as declared, or by its own escapes."""
    if codec and codec.startswith(_ESCAPED):
        return _try(content, codec)
    return _try(content, "iso2022_jp_ext") if b"\x1b$" in content else None


def _utf16(content: bytes) -> str:
    """UTF-16 without its mark, as some programs of Windows write it."""
    is_little = content[1:_PROBE:2].count(0) >= content[:_PROBE:2].count(0)
    text = _try(content, "utf-16-le" if is_little else "utf-16-be")
    if text and not any(_is_no_text(character) for character in text[:_PROBE]):
        return text
    raise Refused("binary file: holds NUL bytes, and is no UTF-16 text. Convert it to Markdown, text or HTML.")


def _is_no_text(character: str) -> bool:
    return character not in "\t\n\v\f\r\x1b\x85" and unicodedata.category(character) in _NO_TEXT


def _detected(content: bytes, declared: str | None) -> str:
    """Text in the encoding that its letters tell, judged by the part around the first one that is not ASCII."""
    first = _NON_ASCII.search(content)
    start = max(0, first.start() - _PROBE) if first else 0
    part = content[start : start + _DETECTED_BYTES]
    kept = part.decode(errors="replace")
    lost = kept.count("\N{REPLACEMENT CHARACTER}")
    is_utf8 = sum(character > "\x7f" for character in kept) - lost >= lost  # with bytes of another encoding in it
    if is_utf8:
        _refuse(content, declared)
    detector = EncodingDetector()
    detector.feed(part, last=True)
    # some words alone mislead the detector, as in names of files; hiragana does not appear by accident
    text = _try(content, "cp932") if _HIRAGANA.search(part) else None
    if text is None or _HALF_WIDTH.search(text):
        text = _try(content, _codec(detector.guess(tld=None, allow_utf8=False)))
    return text if text is not None else _refuse(content, declared)


def _refuse(content: bytes, declared: str | None) -> NoReturn:
    try:
        content.decode()
    except UnicodeDecodeError as error:
        named = f"declared as {declared!r}, which does not fit, and " if declared else ""
        raise Refused(
            f"unknown encoding: {named}invalid UTF-8 (byte {content[error.start]:#04x} at offset {error.start}). "
            "Save it as UTF-8."
        ) from None
    raise AssertionError("valid UTF-8 needs no detector")
