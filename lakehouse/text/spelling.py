"""Other spellings of a word, to be looked up among the words of a tenant.

A tenant's words are known by their hashed stems alone (`silver.frequencies`), so no dictionary can be searched for the
nearest word: spellings are made from the typed word and looked up, as in Norvig's spelling corrector. The first letter
stays, except where it is exchanged with the second: people rarely mistype it, and names differ in it.
"""

from collections.abc import Iterator
from itertools import pairwise

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = "aeiouy"
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BY_EAR = dict(zip("ckszfvgjmndtbp", ("ks", "cq", "cz", "s", "v", "fw", *"jgnmt", "ds", *"pb"), strict=True))
LONG = 7
"""A shorter word is too often one letter away from another word (*cake* from *take*), so of it only letters that are
exchanged, doubled or missing are looked at."""


def likely_spellings(word: str) -> list[str]:
    """The word with two letters exchanged, or with a consonant once in place of twice or twice in place of once."""
    return _others(word, _exchanged(word), _doubled(word))


def possible_spellings(word: str) -> list[str]:
    """The word with a missing letter, and of a long word also without a letter, or with another in its place."""
    if len(word) < LONG:
        return _others(word, _missing(word))
    return _others(word, _missing(word), _one_too_many(word), _wrong(word))


def _exchanged(word: str) -> Iterator[str]:
    for place, (first, second) in enumerate(pairwise(word)):
        yield word[:place] + second + first + word[place + 2 :]


def _doubled(word: str) -> Iterator[str]:
    for place in range(1, len(word)):
        if word[place] == word[place - 1]:
            yield word[:place] + word[place + 1 :]
        elif word[place] not in _VOWELS:
            yield word[:place] + word[place] + word[place:]


def _missing(word: str) -> Iterator[str]:
    for place in range(1, len(word) + 1):
        yield from (word[:place] + letter + word[place:] for letter in _LETTERS)


def _one_too_many(word: str) -> Iterator[str]:
    yield from (word[:place] + word[place + 1 :] for place in range(1, len(word)))


def _wrong(word: str) -> Iterator[str]:
    """A vowel for another, a letter by ear, or its neighbour on the keyboard."""
    for place in range(1, len(word)):
        letter = word[place]
        others = (_VOWELS if letter in _VOWELS else _BY_EAR.get(letter, "")) + _beside(letter)
        yield from (word[:place] + other + word[place + 1 :] for other in others)


def _beside(letter: str) -> str:
    row = next(row for row in (*_ROWS, letter) if letter in row)
    place = row.index(letter)
    return row[max(0, place - 1) : place] + row[place + 1 : place + 2]


def _others(word: str, *spellings: Iterator[str]) -> list[str]:
    return [spelling for spelling in dict.fromkeys(one for some in spellings for one in some) if spelling != word]
