"""Identifiers and versions in a text, in the spellings of code and of prose: `rootCoord.maxDatabaseNum`, `v2.4.0`.

Manuals write a setting with its whole path, with its last part alone, or in words, and a version with or without `v`.
Each spelling counts as a name, so that two pages are connected whichever spelling they use.
"""

import re
from collections.abc import Iterator

# Lower case at first, because `GitHub` and `McCartney` are ordinary names; or with an underscore inside.
_PART = r"(?:[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*|[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+)"
_IDENTIFIER = re.compile(rf"(?<![\w./@-])(?:[a-z][a-z0-9]*\.)*{_PART}(?:\.[A-Za-z]\w*)*(?![\w/@]|\.[A-Za-z])")
_HUMP = re.compile(r"[a-z0-9][A-Z]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Three numbers, or two after a `v`: `0.5` is a quantity, and `10.0.0.1` an address.
_VERSION = re.compile(
    r"(?<![\w.-])(?:[vV](?P<marked>\d{1,4}(?:\.\d{1,4}){1,2})|(?P<bare>\d{1,4}(?:\.\d{1,4}){2}))(?!\w|\.\d)"
)


def identifiers(text: str) -> Iterator[str]:
    """Identifiers in camelCase or snake_case, each with its dotted path."""
    return (match[0] for match in _IDENTIFIER.finditer(text))


def versions(text: str) -> Iterator[str]:
    """Versions, without the `v`."""
    return (match["marked"] or match["bare"] for match in _VERSION.finditer(text))


def in_words(identifier: str) -> str:
    """An identifier in words: `root Coord max Database Num` for `rootCoord.maxDatabaseNum`."""
    return " ".join(_WORD.findall(identifier))


def with_words(text: str) -> str:
    """The text with the words of each camelCase identifier added after it: questions use the words."""
    return _IDENTIFIER.sub(
        lambda match: f"{match[0]} {in_words(match[0])}" if _HUMP.search(match[0]) else match[0], text
    )
