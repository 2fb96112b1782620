"""Names as code writes them, and how prose spells the same: `rootCoord.maxDatabaseNum`, `replica_count`, `v2.4.0`.

Manuals speak of a setting by its whole path, by its last part alone, or in words, and of a version with or without its
`v`. Each spelling counts as a name, so that two pages meet whichever of them they use.
"""

import re
from collections.abc import Iterator

# Begun in lower case, for `GitHub` and `McCartney` are names as they stand; or with an underscore within.
_PART = r"(?:[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*|[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+)"
_IDENTIFIER = re.compile(rf"(?<![\w./@-])(?:[a-z][a-z0-9]*\.)*{_PART}(?:\.[A-Za-z]\w*)*(?![\w/@]|\.[A-Za-z])")
_HUMP = re.compile(r"[a-z0-9][A-Z]")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# Three numbers, or two behind a `v`: `0.5` is a quantity, and `10.0.0.1` an address.
_VERSION = re.compile(
    r"(?<![\w.-])(?:[vV](?P<marked>\d{1,4}(?:\.\d{1,4}){1,2})|(?P<bare>\d{1,4}(?:\.\d{1,4}){2}))(?!\w|\.\d)"
)


def identifiers(text: str) -> Iterator[str]:
    """Identifiers in camelCase or snake_case, each with the path before and after it."""
    return (match[0] for match in _IDENTIFIER.finditer(text))


def versions(text: str) -> Iterator[str]:
    """Versions, without their `v`."""
    return (match["marked"] or match["bare"] for match in _VERSION.finditer(text))


def in_words(identifier: str) -> str:
    """An identifier in words: `root Coord max Database Num` for `rootCoord.maxDatabaseNum`."""
    return " ".join(_WORD.findall(identifier))


def with_words(text: str) -> str:
    """The text with the words of each identifier in camelCase behind it: nobody asks for it as it is written."""
    return _IDENTIFIER.sub(
        lambda match: f"{match[0]} {in_words(match[0])}" if _HUMP.search(match[0]) else match[0], text
    )
