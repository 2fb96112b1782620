"""The names of a passage for the index: names of its document, and names in its text. No model.

Two passages are connected when one speaks of the other's document, or both speak of the same rare name. Names are found
by their form: a span of capitalised words, a part of such a span, code between backticks, an identifier, or a version.
The index stores and compares keys of names (`lakehouse.text.terms.key`). `lakehouse.text.mentions` finds names as a
text writes them, for programs that read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from lakehouse.text.folding import plain
from lakehouse.text.hyperlinks import Place, own_addresses, said_addresses
from lakehouse.text.identifiers import identifiers, in_words, versions
from lakehouse.text.search_text import words
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import is_stopped, key

# How certainly a name means its document, by the way it was found.
TITLE_WEIGHT = 1.0
LEAD_WEIGHT = 0.9
WITHOUT_ARTICLE = 0.7
BEFORE_COMMA = 0.5
HEADING_WEIGHT = 0.7
OF_PART = 0.5
OF_IDENTIFIER = 0.5
HEADING_JOINT = " › "
MAX_SPOKEN_NAMES = 64
"""Names in the text of one passage: a long list of names would connect it with every other passage."""
MAX_NAME_WORDS = 12
_MIN_KEY = 3
_MAX_KEY = 200
_TITLE_CHARACTERS = 200
_TEXT_CHARACTERS = 20_000
_PARENTHESIS = re.compile(r"\s*\([^()]*\)$")
_CAPITAL = r"(?:[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][^\W_]*(?:['’.-][^\W_]+)*\.?)"
_JOINT = r"(?:of|the|de|la|le|du|von|van|der|den|del|di|da|and|&|for|in|on|to|y|al|el)"
_SPAN = re.compile(rf"{_CAPITAL}(?:\s+(?:{_JOINT}\s+){{0,2}}{_CAPITAL}|\s+\d{{1,4}}\b)*")
# `University of Kansas` speaks of Kansas too.
_JOINED = re.compile(rf"\s+(?:{_JOINT}\s+)+|\s+(?=\d{{1,4}}$)")
_CODE = re.compile(r"`([^`\n]{3,60})`")
MAX_HEADINGS = 8
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?\S)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_LEAD = re.compile(
    rf"^(?:The\s+)?({_CAPITAL}(?:\s+(?:{_JOINT}\s+){{0,2}}{_CAPITAL}){{1,6}})(?=\s*(?:\(|,|(?:is|was|are|were)\b))"
)


@dataclass(frozen=True)
class Names:
    """The names of one chunk, by key, each with a certainty from 0 to 1. The field names are stored in the index.

    `own`: names of the chunk's document. `say`: names in the chunk's text, and its own names. Both hold addresses too
    (`lakehouse.text.hyperlinks`): of the document, and of the targets of its links.
    """

    own: Mapping[str, float]
    say: Mapping[str, float]

    @classmethod
    def of(cls, title: str, heading: str, text: str, place: Place | None = None) -> "Names":
        """The names of a chunk, from the chunk alone, so they go stale only with it. `place` adds hyperlinks."""
        own = own_names(title, heading, text)
        say = spoken_names(text) | dict.fromkeys(own, 1.0)
        if place:
            own |= own_addresses(place, chunk_headings(heading, text))
            say |= said_addresses(text[:_TEXT_CHARACTERS], place)
        return cls(own, say)


def own_names(title: str, heading: str, text: str) -> dict[str, float]:
    """Keys of names by which other texts may speak of a document, each with a certainty from 0 to 1.

    The title, the title without a parenthesis, without `The` and before a comma, the name that begins the text, and the
    headings above or in the chunk; for identifiers in these also their words and their last part.
    """
    whole = " ".join(plain(title[:_TITLE_CHARACTERS]).split())
    bare = without_parenthesis(whole)
    headings = [plain(section) for section in chunk_headings(heading, text)]
    names: dict[str, float] = {}

    def add(name: str, weight: float) -> None:
        name_key = key(name)
        if _is_name(name_key):
            names[name_key] = max(weight, names.get(name_key, 0.0))

    add(whole, TITLE_WEIGHT)
    add(bare, TITLE_WEIGHT)
    add(bare.partition(",")[0], BEFORE_COMMA)
    if bare.startswith("The "):
        add(bare[4:], WITHOUT_ARTICLE)
    for section in headings:
        add(section, HEADING_WEIGHT)
    if lead := _LEAD.match(plain(text[:_TITLE_CHARACTERS]).lstrip('"“ ')):
        add(lead[1].rstrip(".,"), LEAD_WEIGHT)
    for code in (code for line in (whole, *headings) for code in identifiers(line)):
        last = code.rpartition(".")[2]
        for spelling in (in_words(code), last, in_words(last)):
            add(spelling, OF_IDENTIFIER)
    return names | {key(version): HEADING_WEIGHT for section in headings for version in versions(section)}


def without_parenthesis(title: str) -> str:
    """The title without a parenthesis at its end: `Oder` for `Oder (river)`."""
    return _PARENTHESIS.sub("", title)


def chunk_headings(heading: str, text: str) -> list[str]:
    """The heading above a chunk, and the first headings in it; `MAX_HEADINGS` at most."""
    headings = [last] if (last := heading[:_TITLE_CHARACTERS].rpartition(HEADING_JOINT)[2]) else []
    is_code = False
    for line in text[:_TEXT_CHARACTERS].splitlines():
        is_code ^= _FENCE.match(line) is not None
        match = None if is_code else _HEADING.match(line[:_TITLE_CHARACTERS])
        if match and len(headings) < MAX_HEADINGS:
            headings.append(match[1])
    return headings


def spoken_names(text: str) -> dict[str, float]:
    """Keys of the first `MAX_SPOKEN_NAMES` names in a text, each with a certainty from 0 to 1."""
    beginning = plain(text[:_TEXT_CHARACTERS])
    code = ((code, 1.0) for code in _CODE.findall(beginning))
    spans = ((key(name), weight) for name, weight in chain(_spans(beginning), code, _identifiers(beginning)))
    numbers = ((key(version), 1.0) for version in versions(beginning))
    names: dict[str, float] = {}
    for name_key, weight in chain(filter(lambda span: _is_name(span[0]), spans), numbers):
        if name_key in names or len(names) < MAX_SPOKEN_NAMES:
            names[name_key] = max(weight, names.get(name_key, 0.0))
    return names


def _identifiers(text: str) -> Iterator[tuple[str, float]]:
    for code in identifiers(text):
        yield from ((code, 1.0), (in_words(code), 1.0))
        path = code.split(".")
        if len(path) > 1:
            yield from ((spelling, OF_PART) for part in path for spelling in (part, in_words(part)))


def _spans(text: str) -> Iterator[tuple[str, float]]:
    for sentence in sentences(text):
        for match in _SPAN.finditer(sentence):
            whole = match[0].rstrip(".,")
            if match.start() <= 2:  # the first word of a sentence has a capital letter without being a name
                whole = " ".join(_without_first_word(whole.split()))
            yield whole, 1.0
            parts = _JOINED.split(whole)
            if len(parts) > 1:
                yield from ((part, OF_PART) for part in parts)


def _without_first_word(parts: list[str]) -> list[str]:
    if parts and all(map(is_stopped, words(parts[0]))):
        parts = parts[1:]
        while parts and parts[0][0].islower():
            parts = parts[1:]
    return parts


def _is_name(name_key: str) -> bool:
    parts = name_key.split()
    return (
        _MIN_KEY <= len(name_key) <= _MAX_KEY
        and len(parts) <= MAX_NAME_WORDS
        and any(map(str.isalpha, name_key))
        and not all(map(is_stopped, parts))
    )
