"""The quality rules for the text of a document."""

import pytest

from lakehouse.tables import DOCUMENTS
from spark_jobs.documents import near_duplicates
from spark_jobs.formats.document import ParsedDocument, Rejection, too_large
from spark_jobs.formats.rows import parse_line
from spark_jobs.sources.quality import check_quality

ENGLISH = "The launch of the new service is planned for the first week of May, and every team has to be ready by then. "
GERMAN = "Die Einführung des neuen Dienstes ist für die erste Maiwoche geplant, und bis dahin müssen alle fertig sein. "
FRENCH = "L'équipe a préparé la réunion, où l'été et les congés ont été évoqués à côté du budget préliminaire. "
CODE = "```python\n" + "for entry in entries:\n    print(entry.title, entry.position)\n" * 20 + "```\n"


def broken_rule(text: str, *languages: str) -> str | None:
    result = check_quality(ParsedDocument("a", "A", text, "file:///a"), languages)
    return result.reason if isinstance(result, Rejection) else None


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, FRENCH, "The sign \ufffd stands for a lost character, Ã© for é."])
def test_a_sound_text_breaks_no_rule(text: str) -> None:
    assert broken_rule(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "«MAÇÃ», «IRMÃ», «LÃ» são palavras. “MANHÔ… “ROMÔ… e AMANHÃ… talvez.",
        "NHÂN VIÊN «CÂ» CHÂ” LÃ» “Ấ”, RÜZGÂR” HÂL’ ROMÂNIA… “COBORÂ”",
        "# Broken characters\n\n" + "".join(f"- `Ã{sign}` means a letter\n" for sign in "¤¶¼Ÿ©") + "```\nÃ¤Ã¶Ã¼\n```\n",
    ],
    ids=("Portuguese", "Vietnamese and Turkish", "code"),
)
def test_capitals_and_code_are_no_damage(text: str) -> None:
    assert broken_rule(text) is None


def test_russian_that_was_decoded_wrongly_is_refused() -> None:
    assert "Latin-1" in str(broken_rule("Привет, мир! Как дела?".encode().decode("latin-1")))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_was_decoded_wrongly_is_refused(encoding: str) -> None:
    misread = FRENCH.replace("à", "a").encode().decode(encoding)

    assert str(broken_rule(misread)).startswith("damaged encoding: 30 of 116 ")
    assert "Latin-1" in str(broken_rule(misread))
    assert "U+FFFD" in str(broken_rule(FRENCH.encode("latin-1").decode(errors="replace")))


def test_a_text_in_another_language_is_refused_where_languages_are_set() -> None:
    assert broken_rule(GERMAN * 3, "en") == (
        "other language: the text is in 'de', must be in 'en'. "
        "Translate it, or add the language to LAKEHOP_DOCUMENT_LANGUAGES."
    )
    assert broken_rule(GERMAN * 3, "en", "de") is None
    assert broken_rule(ENGLISH * 3, "en") is None


def test_source_code_and_short_texts_have_no_language() -> None:
    assert broken_rule(CODE, "de") is None
    assert broken_rule("Nur ein Satz.", "en") is None


def test_the_reason_of_a_rejection_begins_with_the_name_of_the_rule() -> None:
    empty = parse_line(b'{"id": "a", "text": " "}', "", 100)
    assert isinstance(empty, Rejection)
    near_copy = near_duplicates.REASON % (0.97, "b", 0.9)
    reasons = [empty.reason, too_large(2, 1), broken_rule("\ufffd" * 9), broken_rule(GERMAN * 3, "en"), near_copy]

    assert [str(reason).split(":")[0] for reason in reasons] == [rule.name for rule in DOCUMENTS.rules]
