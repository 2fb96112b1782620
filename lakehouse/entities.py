"""What a passage is about and what it speaks of: the names of its document, and the names in its text. No model.

Two passages are connected when one speaks of what the other is about, or both of the same rare thing. Names are
found by how they are written: a span of capitalised words, or the title of a document. Keys of names, as
`lakehouse.terms.key` gives them, are what is stored and compared.
"""

import re
from collections.abc import Iterable

from lakehouse.terms import is_stopped, key, sentences, words

# How much a name says about its document, by how it was found.
TITLE_WEIGHT = 1.0
LEAD_WEIGHT = 0.9
WITHOUT_ARTICLE = 0.7
BEFORE_COMMA = 0.5
MAX_ENTITIES = 64
"""Of one passage: a list of names would otherwise connect it with everything."""
MAX_NAME_WORDS = 12
_MIN_KEY = 3
_TITLE_CHARACTERS = 200
_TEXT_CHARACTERS = 20_000
_PARENTHESIS = re.compile(r"\s*\([^()]*\)$")
_CAPITAL = r"(?:[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][^\W_]*(?:['’.-][^\W_]+)*\.?)"
_JOINT = r"(?:of|the|de|la|le|du|von|van|der|den|del|di|da|and|&|for|in|on|to|y|al|el)"
_SPAN = re.compile(rf"{_CAPITAL}(?:\s+(?:{_JOINT}\s+){{0,2}}{_CAPITAL}|\s+\d{{1,4}}\b)*")
_LEAD = re.compile(
    rf"^(?:The\s+)?({_CAPITAL}(?:\s+(?:{_JOINT}\s+){{0,2}}{_CAPITAL}){{1,6}})(?=\s*(?:\(|,|(?:is|was|are|were)\b))"
)


def names(title: str, text: str) -> dict[str, float]:
    """Keys by which others may speak of a document, and how surely each means it, 0 to 1.

    Its title, the title without a parenthesis, without `The`, before a comma, and the name that begins the text.
    """
    whole = " ".join(title[:_TITLE_CHARACTERS].split())
    bare = _PARENTHESIS.sub("", whole)
    found: dict[str, float] = {}

    def add(name: str, weight: float) -> None:
        name_key = key(name)
        if _is_name(name_key):
            found[name_key] = max(weight, found.get(name_key, 0.0))

    add(whole, TITLE_WEIGHT)
    add(bare, TITLE_WEIGHT)
    add(bare.partition(",")[0], BEFORE_COMMA)
    if bare.startswith("The "):
        add(bare[4:], WITHOUT_ARTICLE)
    if lead := _LEAD.match(text[:_TITLE_CHARACTERS].lstrip('"“ ')):
        add(lead[1].rstrip(".,"), LEAD_WEIGHT)
    return found


def entities(text: str) -> dict[str, int]:
    """Keys of the capitalised names in a text, at most `MAX_ENTITIES`, and how often each occurs, first come first."""
    found: dict[str, int] = {}
    for name_key in _spans(text[:_TEXT_CHARACTERS]):
        if name_key in found or len(found) < MAX_ENTITIES:
            found[name_key] = found.get(name_key, 0) + 1
    return found


def _spans(text: str) -> Iterable[str]:
    for sentence in sentences(text):
        for match in _SPAN.finditer(sentence):
            parts = match[0].rstrip(".,").split()
            if match.start() <= 2:  # a sentence's first word is a capital letter's work, not a name's
                parts = _without_first_word(parts)
            name_key = key(" ".join(parts))
            if _is_name(name_key):
                yield name_key


def _without_first_word(parts: list[str]) -> list[str]:
    if parts and all(map(is_stopped, words(parts[0]))):
        parts = parts[1:]
        while parts and parts[0][0].islower():
            parts = parts[1:]
    return parts


def _is_name(name_key: str) -> bool:
    parts = name_key.split()
    return (
        len(name_key) >= _MIN_KEY
        and len(parts) <= MAX_NAME_WORDS
        and any(map(str.isalpha, name_key))
        and not all(map(is_stopped, parts))
    )
