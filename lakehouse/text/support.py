"""Whether texts carry a sentence, by its words: numbers with their units, names, negation, code, and most other words.

A judge of 1.5B parameters was measured to be none, so the texts decide. The check is strict with what is easy to get
wrong and easy to see: a number, a name, a piece of code or a *not* that the texts lack. Of the other words some may
differ, because a sentence is written in words of its own.
"""

import re
from collections.abc import Iterable, Sequence

from lakehouse.text.folding import folded, plain
from lakehouse.text.mentions import is_mentioned
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import terms

SHARE = 0.6
"""Of a sentence's terms, at least so many stand in the closest sentences."""
WINDOW = 3  # successive sentences that may carry one
_CODE = re.compile(r"`([^`\n]+)`")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
_UNIT = re.compile(
    r"[\s-]?(%|°[CF]|[A-Za-zµ]{1,3}\b|(?:second|minute|hour|day|week|month|year|percent|byte|core|row)s?\b)"
)
_IDENTIFIER = re.compile(r"(?<![\w-])(?=\w*[\d_.]|\w+[A-Z])[A-Za-z][\w.-]*\w")
_NAME = re.compile(r"(?<=[a-z,;:)] )[A-ZÄÖÜ][\w-]+")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|nicht|kein\w*|nie|niemals|ohne|ne|pas|jamais|sans|nunca|sin)\b"
    r"|n['’]t\b",
    re.IGNORECASE,
)


def unsupported(sentence: str, texts: Sequence[str]) -> str | None:
    """Why the texts do not carry the sentence, such as "number 42 is in no cited passage"; None where they do."""
    whole = "\n".join(texts)
    missing_code = [code for code in _CODE.findall(sentence) if code not in whole]
    if missing_code:
        return f"code {missing_code[0]!r} is in no cited passage"
    prose = _CODE.sub(" ", sentence)
    return _missing_number(prose, whole) or _missing_name(prose, whole) or _unlike_closest(sentence, texts)


def _missing_number(sentence: str, whole: str) -> str | None:
    held = list(_quantities(whole))
    for number, unit in _quantities(sentence):
        units = {other for held_number, other in held if held_number == number}
        if not units:
            return f"number {number} is in no cited passage"
        if unit and unit not in units and any(units):
            return f"number {number} {unit} has another unit in the cited passages"
    return None


def _quantities(text: str) -> Iterable[tuple[str, str]]:
    """Each number without its separators of thousands, and its unit in lower case and the singular, or ""."""
    for match in _NUMBER.finditer(text):
        unit = _UNIT.match(text, match.end())
        name = unit.group(1).lower() if unit else ""
        yield re.sub(r"[.,](?=\d{3}(?!\d))", "", match.group()).replace(",", "."), name.removesuffix("s")


def _missing_name(sentence: str, whole: str) -> str | None:
    for pattern in (_IDENTIFIER, _NAME):
        for name in pattern.findall(sentence):
            if not is_mentioned(name, whole) and folded(plain(name)) not in folded(plain(whole)):
                return f"name {name!r} is in no cited passage"
    return None


def _unlike_closest(sentence: str, texts: Sequence[str]) -> str | None:
    """A reason where the closest sentences lack most of the terms, or where these deny what it says."""
    wanted = frozenset(terms(sentence))
    if not wanted:
        return None
    closest = [part for text in texts for part in _closest(wanted, text)]
    held = frozenset(term for part in closest for term in terms(part)) & wanted
    if len(held) < SHARE * len(wanted):
        return "too few of its words are in the cited passages"
    if all(_is_negated(part) != _is_negated(sentence) for part in closest):
        return "it denies what the cited passages say, or says what they deny"
    return None


def _closest(wanted: frozenset[str], text: str) -> list[str]:
    """The successive sentences, `WINDOW` at most, that hold most of the terms; all the shortest of equals."""
    parts = sentences(text)
    windows = [parts[begin : begin + size] for size in range(1, WINDOW + 1) for begin in range(len(parts))]
    held = [(len(wanted.intersection(terms(" ".join(window)))), -len(window), window) for window in windows]
    best = max(((count, size) for count, size, _ in held), default=(0, 0))
    return [" ".join(window) for count, size, window in held if (count, size) == best and count]


def _is_negated(text: str) -> bool:
    return _NEGATION.search(text) is not None
