"""Rich text, and the binary files of Word and PowerPoint."""

import io

import pytest

from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.formats.registry import parse_file
from tests.spark_jobs.formats.office_samples import binary_powerpoint, binary_word

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)


def text_of(name: str, content: bytes) -> str:
    document = parse_file(name, "file:///a", io.BytesIO(content), LIMITS)
    assert isinstance(document, ParsedDocument), document
    return document.text


def reason_of(name: str, content: bytes) -> str:
    rejection = parse_file(name, "file:///a", io.BytesIO(content), LIMITS)
    assert isinstance(rejection, Rejection)
    return rejection.reason


def test_rich_text_keeps_letters_and_tables() -> None:
    table = r"\trowd\cellx100\cellx200 a_b\cell c\cell\row\trowd 1\cell 2\cell\row"
    content = r"{\rtf1\ansi\ansicpg1252 Pr\'fcfdruck \u8364?\par" + table + "}"

    assert text_of("a.rtf", content.encode()) == "Prüfdruck €\n\n| a_b | c |\n| --- | --- |\n| 1 | 2 |"


def test_a_binary_word_file_is_read() -> None:
    assert text_of("a.doc", binary_word("Der Prüfdruck beträgt 6 bar.\r")) == "Der Prüfdruck beträgt 6 bar."


def test_slides_are_read_without_the_texts_of_their_master() -> None:
    slides = binary_powerpoint("Click to edit Master title style", "Launch in May", "Costs of the pump")

    assert text_of("a.ppt", slides).split() == ["Launch", "in", "May", "Costs", "of", "the", "pump"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.doc", binary_word("x", is_encrypted=True), "encrypted"),
        ("a.doc", b"PK\x03\x04 a Word file of today", "not a binary Office file, as its suffix says"),
        ("a.rtf", b"no rich text", "damaged: no valid .rtf file"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name: str, content: bytes, reason: str) -> None:
    assert reason_of(name, content).startswith(reason)
