"""The words of a text, and the text that BM25 reads: the same for what is indexed and for what is asked.

All search by words builds on this file: BM25 on `search_text`, terms and their frequencies on `all_words` and `paired`
(`lakehouse.text.terms`), names on `words`. Words are folded by `lakehouse.text.folding`.

Chinese, Japanese, Korean and Thai write words without blanks (Korean: with endings). Each character is a word for
names, and each two neighbours are a word for search, as in Lucene's CJKAnalyzer. A dictionary (jieba for Chinese) cuts
a text and a question differently at times, knows one language and takes memory in each process; pairs need none.
"""

import re
from collections.abc import Sequence
from itertools import groupby
from operator import add

import regex

from lakehouse.text.folding import folded, plain
from lakehouse.text.identifiers import with_words

SEARCH_TEXT_VERSION = 2
"""Raise it when an indexed text or a query is made in another way; collections of the earlier are built again."""
_WITHOUT_BLANKS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー"
_CHARACTER = regex.compile(rf"[{_WITHOUT_BLANKS}]")
_ANY_WORD = regex.compile(rf"[{_WITHOUT_BLANKS}]\p{{M}}*|[\p{{L}}\p{{M}}\p{{N}}--{_WITHOUT_BLANKS}]+", regex.V1)
# Beyond these a word may hold marks or be written without blanks, which `re` does not know.
_BEYOND_ALPHABETS = re.compile("[\u0780-\u1dff\u2e80-\U0010ffff]")
_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
# `max_idle_conns`, `ERR-4003`: an underscore inside, or a hyphen and a digit.
_CODE = re.compile(r"[^\W_]++(?:[-_‐][^\W_]++)+")
_JOINT = re.compile(r"[-_‐]")
_BREAK = re.compile(r"[-‐\xad][ \t]*+\r?\n")
_BROKEN = re.compile(rf"([^\W\d_]++){_BREAK.pattern}[ \t]*([^\W\d_]++)")


def words(text: str) -> list[str]:
    """The text's folded words, stop words included; a character of a script without blanks is a word."""
    return _cut(folded(plain(text)))


def all_words(text: str) -> list[str]:
    """The text's words, and those of each identifier and of each word that a line's end breaks."""
    return _cut(folded(with_words(plain(unbroken(text)))))


def search_text(text: str, *, is_document: bool = False) -> str:
    """The text as BM25 reads it, of a question or of a document: folded words with a blank between them.

    Each word is of letters and digits alone, so that the engines' tokenizers leave it whole. A document also holds its
    single characters of scripts without blanks, for a question of one character.
    """
    written = with_words(plain(unbroken(text)))
    found = _cut(folded(_CODE.sub(_with_joined, written) if "_" in written or "-" in written else written))
    searched = paired(found)
    if searched is found:
        return " ".join(found)
    if is_document:
        searched = [*searched, *filter(is_character, found)]
    return " ".join(map(_without_marks, searched))


def paired(folded_words: Sequence[str]) -> Sequence[str]:
    """The words, with neighbouring characters of scripts without blanks as pairs: 領収 and 収書 for 領, 収, 書."""
    if "".join(folded_words).isascii():
        return folded_words
    searched: list[str] = []
    for is_run, run in groupby(folded_words, is_character):
        group = list(run)
        searched += map(add, group, group[1:]) if is_run and len(group) > 1 else group
    return searched


def is_character(word: str) -> bool:
    """Whether a word is, or begins with, a character of a script without blanks."""
    return _CHARACTER.match(word) is not None


def unbroken(text: str) -> str:
    """The text with each word that a hyphen at a line's end breaks in one piece too: `mainte-nance maintenance`."""
    return _BROKEN.sub(_mended, text) if _BREAK.search(text) else text


def _cut(folded_text: str) -> list[str]:
    if folded_text.isascii():
        return _ASCII_WORD.findall(folded_text)
    return (_ANY_WORD if _BEYOND_ALPHABETS.search(folded_text) else _WORD).findall(folded_text)


def _with_joined(code: re.Match[str]) -> str:
    is_code = "_" in code[0] or any(map(str.isdigit, code[0]))
    return f"{code[0]} {_JOINT.sub('', code[0])}" if is_code else code[0]


def _mended(broken: re.Match[str]) -> str:
    begun, ended = broken.groups()
    return f"{begun}-{ended} {begun}{ended}" if ended[0].islower() else broken[0]


def _without_marks(word: str) -> str:
    """The word with the code of each mark in its place, because tokenizers cut words at marks."""
    return word if word.isalnum() else "".join(part if part.isalnum() else f"{ord(part):x}" for part in word)
