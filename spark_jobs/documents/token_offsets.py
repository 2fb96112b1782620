"""Where a document's tokens begin: the ruler by which the chunker cuts.

A tokenizer of BERT's kind never looks across a blank, so the tokens of a text are those of its words, and most words
of a corpus are repeats: each is tokenized once and remembered. That takes a fraction of the time that tokenizing the
text takes, and because it is exact, a chunk that begins and ends at blanks need not be tokenized again to be measured.
Any other tokenizer reads the text itself.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import cast

import numpy as np
from tokenizers import Tokenizer

# What such a tokenizer takes for a blank, and Unicode too: it deletes others, such as a form feed.
_BLANKS = " \t\n\r"
_LAST_BLANK = max(map(ord, _BLANKS))
_IS_BLANK = np.array([chr(code) in _BLANKS for code in range(_LAST_BLANK + 2)])
_WORD = re.compile(f"[^{_BLANKS}]+")
_PUNCTUATION = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# Long texts go to the tokenizer in pieces of this many characters, for its memory grows with the longest.
_PIECE = 8_000
_BATCH = 256
# About 20 MB of words; a corpus of one language has far fewer that it uses twice.
_MOST_WORDS = 200_000
_LONGEST_WORD = 64


class TokenStarts:
    """A text's tokens by their offsets. `starts`: ascending, one a token."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._words = words_of(tokenizer)
        self.starts = array("q")
        pieces = list(_pieces(text))
        # a word that was cut there is two words to us and one to the tokenizer
        self._torn = [start for start, _ in pieces[1:] if text[start - 1] not in _BLANKS]
        if self._words:
            for start, end in pieces:
                self.starts.frombytes(self._words.token_starts(text[start:end], start).tobytes())
            return
        for first in range(0, len(pieces), _BATCH):
            batch = pieces[first : first + _BATCH]
            encodings = tokenizer.encode_batch([text[start:end] for start, end in batch], add_special_tokens=False)
            for (piece_start, _), encoding in zip(batch, encodings, strict=True):
                self.starts.extend(piece_start + start for start, _ in encoding.offsets)

    def is_exact(self, start: int, end: int) -> bool:
        """Whether the span alone has exactly the tokens that begin in it."""
        text = self._text
        return (
            self._words is not None
            and (start == 0 or text[start - 1] in _BLANKS)
            and (end == len(text) or text[end] in _BLANKS)
            and bisect_right(self._torn, start) == bisect_left(self._torn, end)
        )


class Words:
    """The words that a tokenizer has met, each with the offsets of its tokens. Build it with `words_of`.

    Such a tokenizer parts words at punctuation too. A new word mostly consists of known parts.
    """

    def __init__(self, tokenizer: Tokenizer, special: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._words: dict[str, bytes] = {}
        self._parts: dict[str, bytes] = {}
        whole = [re.escape(token) for token in sorted(special, key=len, reverse=True)]
        self._part = re.compile("|".join([*whole, f"[{_PUNCTUATION} ]", f"[^{_PUNCTUATION} ]+"]))

    def count(self, text: str) -> int:
        """Tokens of a text, special ones left out."""
        return sum(map(len, self._look_up(_WORD.findall(text)))) // 4

    def token_starts(self, text: str, shift: int) -> np.ndarray:
        """Offsets of the text's tokens, each moved by `shift`, as 64-bit integers."""
        characters = np.frombuffer((" " + text).encode("utf-32-le"), np.uint32)
        is_blank = _IS_BLANK[np.minimum(characters, _LAST_BLANK + 1)]
        begins = np.flatnonzero(is_blank[:-1] & ~is_blank[1:])
        return _spread(begins + shift, self._look_up(_WORD.findall(text)))

    def _look_up(self, words: list[str]) -> list[bytes]:
        """For each word the offsets of its tokens within it, as 32-bit integers."""
        return _known_or_learnt(self._words, words, self._learn)

    def _learn(self, words: list[str]) -> list[bytes]:
        parts = self._part.findall(" ".join(words))
        begins = np.fromiter(accumulate(map(len, parts[:-1]), initial=0), np.int64, len(parts))
        return _by_word(_spread(begins, _known_or_learnt(self._parts, parts, self._tokenize)), words)

    def _tokenize(self, parts: list[str]) -> list[bytes]:
        encoding = self._tokenizer.encode(" ".join(parts), add_special_tokens=False)
        return _by_word(np.array([start for start, _ in encoding.offsets], np.int64), parts)


def _known_or_learnt(
    known: dict[str, bytes], words: list[str], learn: Callable[[list[str]], list[bytes]]
) -> list[bytes]:
    found = list(map(known.get, words))
    if None not in found:
        return cast(list[bytes], found)
    new = list(dict.fromkeys(word for word, offsets in zip(words, found, strict=True) if offsets is None))
    learnt = dict(zip(new, learn(new), strict=True))
    if len(known) + len(new) > _MOST_WORDS:
        known.clear()
    known.update((word, offsets) for word, offsets in learnt.items() if len(word) <= _LONGEST_WORD)
    return [learnt[word] if offsets is None else offsets for word, offsets in zip(words, found, strict=True)]


def _spread(begins: np.ndarray, offsets: list[bytes]) -> np.ndarray:
    """Where all tokens begin, from where the words do and the offsets within each."""
    counts = np.fromiter(map(len, offsets), np.int64, len(offsets)) // 4
    return np.repeat(begins, counts) + np.frombuffer(b"".join(offsets), np.int32)


def _by_word(starts: np.ndarray, words: list[str]) -> list[bytes]:
    """The reverse, for words that are joined by one blank each."""
    begins = list(accumulate((len(word) + 1 for word in words), initial=0))
    firsts = np.searchsorted(starts, begins)
    within = (starts - np.repeat(begins[:-1], np.diff(firsts))).astype(np.int32).tobytes()
    return [within[first:last] for first, last in pairwise((4 * firsts).tolist())]


@lru_cache(maxsize=2)
def words_of(tokenizer: Tokenizer) -> Words | None:
    """The words of a tokenizer that reads each by itself; None for any other tokenizer."""
    parts = [type(part).__name__ for part in (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)]
    if parts != ["BertNormalizer", "BertPreTokenizer", "WordPiece"] or not tokenizer.normalizer.clean_text:
        return None
    added = tokenizer.get_added_tokens_decoder().values()
    begins_a_part = re.compile(f"[{_PUNCTUATION}][^{_BLANKS}]*")
    for token in added:
        reaches_out = token.lstrip or token.rstrip or token.single_word or token.normalized
        if reaches_out or not begins_a_part.fullmatch(token.content):
            return None
    return Words(tokenizer, [token.content for token in added])


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Pieces for the tokenizer, cut behind a line or a word where there is one."""
    start = 0
    while start < len(text):
        end = min(start + _PIECE, len(text))
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or text.rfind(" ", start, end) + 1 or end
        yield start, end
        start = end
