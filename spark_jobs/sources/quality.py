"""The rules of `bronze.documents` that look at one text: `lakehouse.tables` declares them, here they are checked.

Emptiness and size are checked while parsing: a text that is too large must not be made in the first place. The rule
that looks at two texts is `spark_jobs.documents.near_duplicates`.
"""

import re
from collections.abc import Sequence

from spark_jobs.formats.parsing import EXCERPT_CHARACTERS, Document, Rejection, excerpt

_FEW = 4  # so many damaged characters may be an example in a text about encodings
_MAX_DAMAGED_SHARE = 1 / 200
# UTF-8 of two or three bytes that was read as Latin-1 or Windows-1252: `Ã©` for `é`, `â€™` for `’`
_MISREAD = re.compile(
    "[\u00c2\u00c3]"  # the first byte of two, then what the second becomes in either encoding
    "[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
    "|\u00e2\u20ac.?"
)
_FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)
_JUDGED_LETTERS = 200  # less is guessing
_READ_CHARACTERS = 20_000


def checked(document: Document, languages: Sequence[str]) -> Document | Rejection:
    """The document, or the rule that it breaks."""
    reason = damaged_encoding(document.text) or (other_language(document.text, languages) if languages else None)
    if reason is None:
        return document
    shown = excerpt(document.text[:EXCERPT_CHARACTERS].encode())
    return Rejection(reason, document.doc_id, shown, uri=document.uri)


def damaged_encoding(text: str) -> str | None:
    """Why a text seems to have been decoded wrongly, or None."""
    lost = text.count("\N{REPLACEMENT CHARACTER}")
    misread = sum(len(found) for found in _MISREAD.findall(text))
    if lost + misread <= max(_FEW, _MAX_DAMAGED_SHARE * len(text)):
        return None
    what = "U+FFFD, which stand for lost ones" if lost >= misread else "UTF-8 that was read as Latin-1"
    return f"damaged encoding: {lost + misread:,} of {len(text):,} characters are {what}. Export it anew as UTF-8."


def other_language(text: str, languages: Sequence[str]) -> str | None:
    """Why a text is in none of the languages, or None; also None where that can't be told."""
    prose = _FENCED.sub(" ", text)[:_READ_CHARACTERS]
    if sum(character.isalpha() for character in prose) < _JUDGED_LETTERS:
        return None
    import py3langid  # half a second and its model, for those who ask for it

    found = str(py3langid.classify(prose)[0])
    if found in languages:
        return None
    return (
        f"other language: the text is in {found!r}, must be in {' or '.join(map(repr, languages))}. "
        "Translate it, or add the language to LAKEHOP_DOCUMENT_LANGUAGES."
    )
