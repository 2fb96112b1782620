"""The quality rules for the text of one document. `lakehouse/tables/documents.py` declares them in `DOCUMENTS.rules`.

Two rules are checked elsewhere: `empty text` and `oversize` while parsing (`spark_jobs.formats`), so that no text is
made that is too large; `near-duplicate`, which compares texts, in `spark_jobs.documents.near_duplicates`.
"""

import re
from collections.abc import Sequence

from spark_jobs.formats.document import EXCERPT_CHARACTERS, ParsedDocument, Rejection, excerpt

_TOLERATED = 4  # damaged characters that may be examples in a text about encodings
_MAX_DAMAGED_SHARE = 1 / 200
# What Windows-1252 has in place of the control characters of Latin-1: `Ÿ` is byte 9F.
_TO_LATIN_1 = {
    ord(bytes([byte]).decode("cp1252")): byte
    for byte in range(0x80, 0xA0)
    if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
# UTF-8 that was read as Latin-1 or Windows-1252: `Ã©` for `é`. Behind a capital, `Ã` is a letter of a word: `IRMÃ”`.
_LEAD = "[\u00c2-\u00f4]"
_SUSPECT = re.compile(rf"{_LEAD}(?<![A-Z]{_LEAD})[\u00a0 \u0080-\u00bf{''.join(map(chr, _TO_LATIN_1))}][^\x00-\x7f]*")
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)
_IN_LINE_CODE = re.compile(r"(?<!`)(`++)[^\n]{1,200}?(?<!`)\1(?!`)")
_MIN_LETTERS = 200  # the language of a shorter text is a guess
_CLASSIFIED_CHARACTERS = 20_000


def check_quality(document: ParsedDocument, languages: Sequence[str]) -> ParsedDocument | Rejection:
    """The document, or its rejection with the first rule that it breaks. No language is checked for no `languages`."""
    reason = damaged_encoding(document.text) or (other_language(document.text, languages) if languages else None)
    if reason is None:
        return document
    start = document.text[:EXCERPT_CHARACTERS].encode()
    return Rejection(reason, document.doc_id, excerpt(start), uri=document.uri)


def damaged_encoding(text: str) -> str | None:
    """Why a text seems to be decoded wrongly, or None. Code counts as sound: it may show damaged text on purpose."""
    if "\N{REPLACEMENT CHARACTER}" not in text and not _SUSPECT.search(text):
        return None
    prose = _IN_LINE_CODE.sub(" ", _FENCED.sub(" ", text))
    lost = prose.count("\N{REPLACEMENT CHARACTER}")
    misread = sum(map(_misread, prose.splitlines()))
    if lost + misread <= max(_TOLERATED, _MAX_DAMAGED_SHARE * len(text)):
        return None
    damage = "U+FFFD, which stand for lost ones" if lost >= misread else "UTF-8 that was read as Latin-1"
    return f"damaged encoding: {lost + misread:,} of {len(text):,} characters are {damage}. Export it anew as UTF-8."


def _misread(line: str) -> int:
    """Characters of a line that are UTF-8 read as Latin-1; none where any other character shows that it was not."""
    suspects = _SUSPECT.findall(line)
    if not suspects:
        return 0
    try:
        line.replace("\u00c3 ", "\u00c3\u00a0").translate(_TO_LATIN_1).encode("latin-1").decode()
    except UnicodeError:
        return 0
    return sum(len(suspect.rstrip(" ")) for suspect in suspects)


def other_language(text: str, languages: Sequence[str]) -> str | None:
    """Why a text is in none of the languages, or None; also None for a text too short to classify."""
    prose = _FENCED.sub(" ", text)[:_CLASSIFIED_CHARACTERS]
    if sum(character.isalpha() for character in prose) < _MIN_LETTERS:
        return None
    import py3langid  # loads its model for half a second: only where languages are set

    language = str(py3langid.classify(prose)[0])
    if language in languages:
        return None
    return (
        f"other language: the text is in {language!r}, must be in {' or '.join(map(repr, languages))}. "
        "Translate it, or add the language to LAKEHOP_DOCUMENT_LANGUAGES."
    )
