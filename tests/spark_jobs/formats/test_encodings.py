"""Bytes as text: by mark, by declaration, by detection; what cannot be told is refused with the encoding's name."""

import codecs
import os
import time

import pytest

from spark_jobs.formats.document import Refused
from spark_jobs.formats.encodings import declared_in_markup, decode

GERMAN = "Die Schlüsselübergabe findet am Montag in der Nähe des Büros statt – 5 €."
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю."
JAPANESE = "受付は午前九時に始まります"
TEXTS = {
    "cp1252": GERMAN,
    "cp1250": "Zażółć gęślą jaźń. Wszyscy ludzie rodzą się wolni i równi.",
    "cp1251": RUSSIAN,
    "koi8_r": RUSSIAN,
    "cp1253": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία",
    "cp1255": "ספק ציוד תקשורת תעשייתי",
    "cp1256": "مزود معدات الاتصالات الصناعية",
    "cp932": JAPANESE,
    "euc_jp": JAPANESE,
    "iso2022_jp": JAPANESE,
    "gb18030": "员工报销的期限是三十天,逾期不予受理。",
    "big5": "員工報銷的期限是三十天,逾期不予受理。",
    "cp949": "직원 경비 청구 기한은 30일입니다.",
}


@pytest.mark.parametrize(("encoding", "text"), TEXTS.items())
def test_an_encoding_is_believed_where_declared_and_detected_where_not(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding), encoding) == text
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", ["a", '{"x": 1}\r\n', GERMAN, f"{JAPANESE}\n{JAPANESE}"])
def test_unicode_is_read_with_its_mark_and_utf_16_without_it(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_mark_and_valid_utf_8_are_believed_before_a_declaration() -> None:
    assert decode(codecs.BOM_UTF8 + GERMAN.encode(), "latin-1") == GERMAN
    assert decode(GERMAN.encode(), "windows-1252") == GERMAN


def test_names_mean_what_browsers_take_them_for() -> None:
    assert decode("“x” 5 €".encode("cp1252"), "ISO-8859-1") == "“x” 5 €"
    assert decode("朱镕基".encode("gb18030"), "gb2312") == "朱镕基"
    assert declared_in_markup(b'<meta http-equiv=Content-Type content="text/html; charset=koi8-r">') == "koi8-r"
    assert declared_in_markup(b'<?xml version="1.0" encoding="Shift_JIS"?><a/>') == "cp932"


@pytest.mark.parametrize("declared", ["punycode", "unicode_escape", "base64", "rot13", "no-charset", "x\0y", "utf-16"])
def test_a_declaration_that_is_no_charset_is_ignored(declared: str) -> None:
    assert decode(GERMAN.encode("cp1252"), declared) == GERMAN


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GERMAN.encode() * 3 + b"\xfc", "unknown encoding: invalid UTF-8 (byte 0xfc at offset "),
        ("Büro für Größe".encode("cp850"), "unknown encoding: invalid UTF-8 (byte 0x81 at offset 1). Save it as"),
        (b"\xff\xfeA", "invalid UTF-16: it begins with the byte order mark of UTF-16, but byte 0x41 at offset 0"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "binary file: holds NUL bytes, and is no UTF-16 text."),
        (b"\x01\x02\x03\x04\x05\x06abc", "binary file: holds control characters"),
    ],
)
def test_what_is_no_text_is_refused_with_the_cause(content: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(content)

    assert str(refused.value).startswith(reason)


def test_ten_megabytes_are_decoded_within_seconds() -> None:
    started_at = time.process_time()

    decode(GERMAN.encode("cp1252") * 130_000)
    with pytest.raises(Refused):
        decode(os.urandom(10_000_000))

    assert time.process_time() - started_at < 5
