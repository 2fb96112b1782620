"""The quality rules for the text of one document. `lakehouse/tables/documents.py` declares them in `DOCUMENTS.rules`.

Two rules are checked elsewhere: `empty text` and `oversize` while parsing (`spark_jobs.formats`), so that no text is
made that is too large; `near-duplicate`, which compares texts, in `spark_jobs.documents.near_duplicates`.
"""

import re
from collections.abc import Sequence

from spark_jobs.formats.document import EXCERPT_CHARACTERS, ParsedDocument, Rejection, excerpt

_TOLERATED = 4  # damaged characters that may be examples in a text about encodings
_MAX_DAMAGED_SHARE = 1 / 200
# UTF-8 of two or three bytes that was read as Latin-1 or Windows-1252: `Ã©` for `é`, `â€™` for `’`
_MISREAD = re.compile(
    "[\u00c2\u00c3]"  # the first byte of two, then what the second becomes in either encoding
    "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
    "|\u00e2\u20ac.?"
)
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)
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
    """Why a text seems to be decoded wrongly, or None."""
    lost = text.count("\N{REPLACEMENT CHARACTER}")
    misread = sum(len(sequence) for sequence in _MISREAD.findall(text))
    if lost + misread <= max(_TOLERATED, _MAX_DAMAGED_SHARE * len(text)):
        return None
    damage = "U+FFFD, which stand for lost ones" if lost >= misread else "UTF-8 that was read as Latin-1"
    return f"damaged encoding: {lost + misread:,} of {len(text):,} characters are {damage}. Export it anew as UTF-8."


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
