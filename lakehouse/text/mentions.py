"""Names as a text writes them: a program takes the next name to look up from a passage, so that no model spells it.

A name is found by its shape (an item of a list, capitalised words, a code span, a link's text), in any domain. Whether
a document about it exists is left to the search. `lakehouse.text.names` finds names for the index: as folded keys, with
parts and identifiers, and without the items of a list. The two stay apart because the index needs keys that compare,
and a reader needs the spelling and the order of the text.
"""

import re
from collections.abc import Iterable

from lakehouse.text.folding import FoldedText, folded, plain
from lakehouse.text.search_text import is_character

MAX_NAME_WORDS = 4
MAX_NAMES = 40  # a passage of 200 tokens holds fewer; a table of contents may hold more
_CAPITALISED = re.compile(r"\b[A-Z][\w.+&'-]*(?:\s(?:(?:of|the|de|von|van)\s)?[A-Z0-9][\w.+&'-]*)*")
_MARKED = re.compile(r"`([^`\n]{1,60})`|\[([^\]\n]{1,60})\]\(")
_AFTER_COLON = re.compile(r":[ \t]+([^\n:;]+)")
# Between two names of an enumeration: `and`, `or` or a comma, and three words at most.
_JOINED = re.compile(r"(?=.*(?:,|\b(?:and|or)\b))[^.?!\w]*(?:\w+[^.?!\w]+){0,3}", re.IGNORECASE | re.DOTALL)
_NO_PART = r"(?<![0-9A-Za-z]){}(?![0-9A-Za-z])"  # no 3 in 13; scripts without blanks have no such bounds
_NOTHING = re.compile(r"(?!)")
_LIST_ITEM = re.compile(r"^[ \t]*[-*•][ \t]+(.{1,60})$", re.MULTILINE)


def names_in(text: str) -> list[str]:
    """Possible names in the order of the text, without repeats; the first word of a sentence may be among them."""
    starts: list[tuple[int, str]] = []
    for match in _AFTER_COLON.finditer(text):
        sentence = re.split(r"\.(?:\s|$)", match.group(1))[0]
        starts += [(match.start(1), item) for item in re.split(r",\s*|\s+and\s+", sentence)]
    for pattern in (_LIST_ITEM, _MARKED, _CAPITALISED):
        starts += [(match.start(), match.group(match.lastindex or 0)) for match in pattern.finditer(text)]
    names = (name.strip(" .,;:!?\"'()") for _, name in sorted(starts, key=lambda item: item[0]))
    short = (name for name in names if name and len(name.split()) <= MAX_NAME_WORDS)
    return list(dict.fromkeys(short))[:MAX_NAMES]


def is_mentioned(name: str, text: str) -> bool:
    """Whether a text holds a name as a whole: `rich-toolkit` does not hold `rich`, `numpy.` holds `numpy`."""
    return _whole(name).search(folded(plain(text))) is not None


def without(name: str, text: str) -> str:
    """The text without all mentions of a name."""
    searched = FoldedText(text)
    spans = [searched.span(*match.span()) for match in _whole(name).finditer(searched.text)]
    begins, ends = [0, *(end for _, end in spans)], [*(start for start, _ in spans), len(text)]
    return " ".join(" ".join(text[begin:end] for begin, end in zip(begins, ends, strict=True)).split())


def longest_mentioned(names: Iterable[str], text: str) -> str | None:
    """The longest of the names in a text; the first of equally long names."""
    mentioned = [name for name in names if is_mentioned(name, text)]
    return max(mentioned, key=len) if mentioned else None


def set_side_by_side(names: Iterable[str], text: str) -> list[str]:
    """The longest enumeration of these names in a text, in its order: Oder and Warta in *Is the Oder or the Warta
    longer?*; empty if the text enumerates none."""
    searched = folded(plain(text))
    places: list[tuple[int, int, str]] = []
    for name in sorted(dict.fromkeys(names), key=len, reverse=True):  # `Oder mouth` before `Oder`
        match = _whole(name).search(searched)
        if match and all(match.end() <= start or end <= match.start() for start, end, _ in places):
            places.append((*match.span(), name))
    runs: list[list[str]] = [[]]
    behind = len(text)
    for start, end, name in sorted(places):
        runs = runs if _JOINED.fullmatch(searched[behind:start]) else [*runs, []]
        runs[-1].append(name)
        behind = end
    longest = max(runs, key=len)
    return longest if len(longest) > 1 else []


def quote_of(span: str, text: str) -> str:
    """The span as the text writes it, with any blanks and line breaks between its words; "" if the text lacks it."""
    words = [re.escape(word) for word in FoldedText(span).text.split()]
    searched = FoldedText(text)
    match = re.search(_NO_PART.format(r"\s*".join(words)), searched.text) if words else None
    return searched.cut(*match.span()) if match else ""


def _whole(name: str) -> re.Pattern[str]:
    """Finds a name in a folded text. In a script without blanks a name has no bounds."""
    key = folded(plain(name))
    if not key:
        return _NOTHING
    before = "" if is_character(key) else r"(?<![\w-])"
    behind = "" if is_character(key[-1]) else r"(?![\w-])(?!\.\w)"
    return re.compile(f"{before}{re.escape(key)}{behind}")
