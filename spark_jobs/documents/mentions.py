"""Names in running text: by which names a title may be mentioned, and where a text mentions them. No Spark here.

All names are looked for at once (Aho-Corasick), as whole words, whatever their case, spacing and Unicode form; then
each find is judged by how it is written. Nothing is learned or configured, so a text always gives the same mentions.
Why each rule stands, with what it costs and brings: docs/links.md.
"""

import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

# Two letters are an abbreviation of many things; a title of more than twelve words is a sentence that nobody repeats.
MIN_NAME_CHARACTERS = 3
MAX_NAME_WORDS = 12

# Chinese and Japanese have no blanks: there a character counts as a word.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|(?:[^\W_{_IDEOGRAPHS}][\u0300-\u036f]*)+")
_PARENTHESIS = re.compile(r"\s*\([^()]*\)$")
# `click` in `click-plugins`, `click.echo` or `pallets/click` is a part of another name.
_GLUE = re.compile(r"[-_./\\@:+]+")


class Name(NamedTuple):
    """A name of a document. `alias`: `title`, `stem` (without a parenthesis at its end) or `before_comma`."""

    text: str
    alias: str


class Mention(NamedTuple):
    """A name found in a text, between two character offsets."""

    start: int
    end: int
    name: str


class _Word(NamedTuple):
    start: int
    end: int
    text: str
    key: str


def names_of(title: str) -> list[Name]:
    """The names that a title gives its document, the full title first; none for a title that is no name."""
    whole = " ".join(unicodedata.normalize("NFKC", title).split())
    stem = _PARENTHESIS.sub("", whole)
    candidates = [Name(whole, "title"), Name(stem, "stem"), Name(stem.split(",")[0].strip(), "before_comma")]
    distinct = {name.text: name for name in reversed(candidates)}
    return [name for name in candidates if distinct[name.text] is name and _is_name(name.text)]


def _is_name(text: str) -> bool:
    words = _words(text)
    key = _key(words)
    has_letter = any(character.isalpha() for character in key)
    return len(key) >= MIN_NAME_CHARACTERS and has_letter and len(words) <= MAX_NAME_WORDS


class Matcher:
    """Finds a set of names in texts. 300,000 took 4.6 s and 185 MB to build: keep it and use it often."""

    def __init__(self, names: Iterable[str]) -> None:
        spellings: dict[str, list[tuple[str, list[str]]]] = defaultdict(list)
        for name in sorted(set(names)):
            words = _words(name)
            spellings[_key(words)].append((name, [word.text for word in words]))
        self._keys = list(spellings)
        self._spellings = list(spellings.values())
        self._automaton = AhoCorasick([f" {key} " for key in self._keys], store_patterns=False)

    def find(self, text: str) -> Iterator[Mention]:
        """Every acceptable mention, also those that lie within a longer one."""
        words = _words(text)
        line = f" {_key(words)} "
        starts = list(accumulate((len(word.key) + 1 for word in words), initial=0))
        for number, start, end in self._automaton.find_matches_as_indexes(line, overlapping=True):
            first, last = bisect_right(starts, start) - 1, bisect_right(starts, end - 2) - 1
            for name, spelling in self._spellings[number]:
                if _is_written_as(spelling, text, words, first, last):
                    yield Mention(words[first].start, words[last].end, name)


def longest(mentions: Iterable[Mention]) -> list[Mention]:
    """Of mentions that overlap, the leftmost and of these the longest; names spelt in one place all stay."""
    kept: list[Mention] = []
    for mention in sorted(mentions, key=lambda one: (one.start, -one.end, one.name)):
        same_place = bool(kept) and (mention.start, mention.end) == (kept[-1].start, kept[-1].end)
        if not kept or same_place or mention.start >= kept[-1].end:
            kept.append(mention)
    return kept


def _words(text: str) -> list[_Word]:
    found = (_Word(match.start(), match.end(), match[0], _folded(match[0])) for match in _WORD.finditer(text))
    return [word for word in found if word.key]


def _folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    return re.sub(r"\W", "", unicodedata.normalize("NFKC", word).casefold())


def _key(words: Sequence[_Word]) -> str:
    return " ".join(word.key for word in words)


def _is_written_as(spelling: Sequence[str], text: str, words: Sequence[_Word], first: int, last: int) -> bool:
    """Whether the words are written as the name is.

    A word that the name capitalises is capitalised, but for the first of several, which a sentence may have changed.
    A name of one word is that word alone: neither glued to another nor next to another capitalised word.
    """
    if len(spelling) > 1:
        found = (word.text for word in words[first + 1 : last + 1])
        return all(is_[0].isupper() or not ours[0].isupper() for ours, is_ in zip(spelling[1:], found, strict=True))
    word = words[first].text
    if not (word[0].isupper() if spelling[0][0].isupper() else word == spelling[0]):
        return False
    return not (_is_one_name(text, words, first - 1) or _is_one_name(text, words, first))


def _is_one_name(text: str, words: Sequence[_Word], number: int) -> bool:
    """Whether this word and the next belong to one longer name: `New York`, `click-plugins`."""
    if number < 0 or number + 1 >= len(words):
        return False
    word, after = words[number], words[number + 1]
    between = text[word.end : after.start]
    both_capital = between == " " and word.text[0].isupper() and after.text[0].isupper()
    return both_capital or _GLUE.fullmatch(between) is not None
