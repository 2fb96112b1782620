"""Text in the form in which it is compared: what a file writes and what a user types meet in it.

Unicode has many ways to write a word: accents apart or in one letter, ligatures, full-width letters, characters that
nobody sees; Markdown and HTML add escapes. `plain` undoes these and keeps the case; `folded` also drops case and
accents. `FoldedText` remembers where each folded character stands in the original, because an offset in the folded text
is none in the original: `İ` is two characters in lower case, `ﬁ` too, and a soft hyphen is none.

What is shown and quoted is never folded.
"""

import html
import re
import unicodedata

import regex

# Unicode's invisible characters, the stretching stroke of Arabic, and PDFium's mark of a hyphen at a line's end.
_INVISIBLE_CHARACTERS = r"[\p{Default_Ignorable_Code_Point}\u0640\ufffe]"
_INVISIBLE = regex.compile(_INVISIBLE_CHARACTERS)
_ESCAPE = r"\\[!-/:-@\[-`{-~]"
_ENTITY = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ESCAPES = re.compile(rf"{_ESCAPE}|{_ENTITY}")
# NFKC writes these into the word or number before them: `Windowstm`, `11⁄2`, `report1` for a footnote.
_SET_APART = re.compile(r"[™℠]|[¼-¾⅐-⅞]|(?<=[^\W\d_]{3})[⁰¹²³⁴-⁹]+")
# Accents and points of alphabets. Marks of other scripts are vowels or tones, which make another word.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_LETTERS = {"æ": "ae", "đ": "d", "ð": "d", "ø": "o", "œ": "oe", "þ": "th", "ħ": "h", "ı": "i", "ł": "l", "ŧ": "t"}
_OTHER_LETTER = re.compile(f"[{''.join(_LETTERS)}]")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
# A character with what changes or follows it without being seen: marks, parts of a Hangul syllable, half-width signs.
_UNIT = regex.compile(rf"{_ESCAPE}|{_ENTITY}|(?s:.)(?:\p{{M}}|{_INVISIBLE_CHARACTERS}|[\u1161-\u11ff\uff9e\uff9f])*")


def plain(text: str) -> str:
    """The text as it is meant: composed letters (NFKC), no invisible characters, no escapes of Markdown and HTML."""
    if "\\" in text or "&" in text:
        text = _ESCAPES.sub(_unescaped, text)
    if text.isascii():
        return text
    visible = _INVISIBLE.sub("", text)
    return unicodedata.normalize("NFKC", _SET_APART.sub(r" \g<0> ", visible))


def folded(plain_text: str) -> str:
    """A plain text without case and accents, its digits as ASCII."""
    if plain_text.isascii():
        return plain_text.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", plain_text).casefold())
    if not bare.isascii():
        bare = _OTHER_LETTER.sub(lambda match: _LETTERS[match[0]], bare)
        bare = _OTHER_DIGIT.sub(lambda match: str(unicodedata.digit(match[0])), bare)
    return unicodedata.normalize("NFC", bare)


def alike(text: str, other: str) -> bool:
    """Whether two texts are equal but for case, accents and ways of writing."""
    return folded(plain(text)) == folded(plain(other))


class FoldedText:
    """A text in folded form (`text`) with the way back to the original: search in `text`, cut with `cut`."""

    def __init__(self, original: str) -> None:
        self.original = original
        self._starts: list[int] | None = None  # of each folded character's unit; None: all offsets are equal
        if original.isascii() and "\\" not in original and "&" not in original:
            self.text = original.lower()
            return
        parts: list[str] = []
        self._starts = []
        self._ends: list[int] = []
        for unit in _UNIT.finditer(original):
            part = folded(plain(unit[0]))
            parts.append(part)
            self._starts += [unit.start()] * len(part)
            self._ends += [unit.end()] * len(part)
        self.text = "".join(parts)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's offsets of `text[start:end]`, which must not be empty; whole characters of the original."""
        return (start, end) if self._starts is None else (self._starts[start], self._ends[end - 1])

    def cut(self, start: int, end: int) -> str:
        """`text[start:end]` as the original writes it."""
        begin, stop = self.span(start, end)
        return self.original[begin:stop]


def _unescaped(match: re.Match[str]) -> str:
    return html.unescape(match[0]) if match[0][0] == "&" else match[0][1]
