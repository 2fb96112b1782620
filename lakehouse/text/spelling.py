"""Other spellings of a word, to be looked up among the words of a tenant, the likeliest slips of typing first.

A tenant's words are known by their hashed stems alone (`silver.frequencies`), so no dictionary can be searched for the
nearest word: spellings are made from the typed word and looked up, as in Norvig's spelling corrector. The first letter
stays, except where it is exchanged with the second: people rarely mistype it, and names differ in it.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = "aeiouy"
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BY_EAR = dict(zip("ckszfvgjmndtbp", ("ks", "cq", "cz", "s", "v", "fw", *"jgnmtdpb"), strict=True))
LONG = 7
"""Words of so many letters are also searched at two slips."""


def spellings(word: str) -> Iterator[list[str]]:
    """Groups of spellings of a word in lower case, the likelier group first; none of them is the word."""
    yield _others(word, _slips(word))
    yield _others(word, _missing_or_wrong(word))
    if len(word) >= LONG:
        yield _others(word, (twice for once in _doubled(word) for twice in _slips(once)))


def _slips(word: str) -> Iterator[str]:
    """Two letters exchanged, a letter too many or typed once in place of twice, a vowel or a letter taken by ear."""
    for place, (first, second) in enumerate(pairwise(word)):
        yield word[:place] + second + first + word[place + 2 :]
    yield from _doubled(word)
    for place in range(1, len(word)):
        yield word[:place] + word[place + 1 :]
        yield from (word[:place] + letter + word[place + 1 :] for letter in _taken_for(word[place]))


def _doubled(word: str) -> Iterator[str]:
    """A consonant typed once in place of twice, or twice in place of once."""
    for place in range(1, len(word)):
        if word[place] == word[place - 1]:
            yield word[:place] + word[place + 1 :]
        elif word[place] not in _VOWELS:
            yield word[:place] + word[place] + word[place:]


def _missing_or_wrong(word: str) -> Iterator[str]:
    """A letter missing, or a neighbour on the keyboard in its place."""
    for place in range(1, len(word) + 1):
        yield from (word[:place] + letter + word[place:] for letter in _LETTERS)
    for place in range(1, len(word)):
        yield from (word[:place] + letter + word[place + 1 :] for letter in _beside(word[place]))


def _taken_for(letter: str) -> str:
    return _VOWELS if letter in _VOWELS else _BY_EAR.get(letter, "")


def _beside(letter: str) -> Iterator[str]:
    for row in _ROWS:
        if (place := row.find(letter)) >= 0:
            yield from row[max(0, place - 1) : place] + row[place + 1 : place + 2]


def _others(word: str, candidates: Iterable[str]) -> list[str]:
    return [spelling for spelling in dict.fromkeys(candidates) if spelling != word]
