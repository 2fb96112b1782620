"""The start offsets of a document's tokens, by which the chunker measures.

A tokenizer of BERT's kind never looks across a blank, so the tokens of a text are the tokens of its words. Most words
of a corpus repeat: each is tokenized once and cached, in a fraction of the time that tokenizing the text takes. The
result is exact, so a chunk that begins and ends at blanks is measured without tokenizing it again. Any other tokenizer
reads the whole text.
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

# Characters that both such a tokenizer and Unicode take as blanks. The tokenizer deletes others, such as a form feed.
_BLANKS = " \t\n\r"
_LAST_BLANK = max(map(ord, _BLANKS))
_IS_BLANK = np.array([chr(code) in _BLANKS for code in range(_LAST_BLANK + 2)])
_WORD = re.compile(f"[^{_BLANKS}]+")
_PUNCTUATION = re.escape("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
# Long texts go to the tokenizer in pieces of this many characters: its memory grows with the longest text.
_PIECE = 8_000
_BATCH = 256
# About 20 MB of words. A corpus of one language has far fewer words that repeat.
_MOST_WORDS = 200_000
_LONGEST_WORD = 64


class TokenOffsets:
    """`starts`: the start offset of each token of a text, ascending."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self._text = text
        self._words = words_of(tokenizer)
        self.starts = array("q")
        pieces = list(_pieces(text))
        # a word that was cut between two pieces counts as two words here, and as one to the tokenizer
        self._torn = [start for start, _ in pieces[1:] if text[start - 1] not in _BLANKS]
        if self._words:
            for start, end in pieces:
                self.starts.frombytes(self._words.token_offsets(text[start:end], start).tobytes())
            return
        for first in range(0, len(pieces), _BATCH):
            batch = pieces[first : first + _BATCH]
            encodings = tokenizer.encode_batch([text[start:end] for start, end in batch], add_special_tokens=False)
            for (piece_start, _), encoding in zip(batch, encodings, strict=True):
                self.starts.extend(piece_start + start for start, _ in encoding.offsets)

    def is_exact(self, start: int, end: int) -> bool:
        """Whether the span, tokenized alone, has exactly the tokens that begin in it."""
        text = self._text
        return (
            self._words is not None
            and (start == 0 or text[start - 1] in _BLANKS)
            and (end == len(text) or text[end] in _BLANKS)
            and bisect_right(self._torn, start) == bisect_left(self._torn, end)
        )


class Words:
    """A cache of words with the offsets of their tokens. Build it with `words_of`.

    Such a tokenizer also cuts words at punctuation. A new word mostly consists of known parts.
    """

    def __init__(self, tokenizer: Tokenizer, special: Iterable[str]) -> None:
        self._tokenizer = tokenizer
        self._words: dict[str, bytes] = {}
        self._parts: dict[str, bytes] = {}
        whole = [re.escape(token) for token in sorted(special, key=len, reverse=True)]
        self._part = re.compile("|".join([*whole, f"[{_PUNCTUATION} ]", f"[^{_PUNCTUATION} ]+"]))

    def count(self, text: str) -> int:
        """Number of tokens of a text, without special tokens."""
        return sum(map(len, self._look_up(_WORD.findall(text)))) // 4

    def token_offsets(self, text: str, shift: int) -> np.ndarray:
        """Offsets of the text's tokens, each moved by `shift`, as 64-bit integers."""
        characters = np.frombuffer((" " + text).encode("utf-32-le"), np.uint32)
        is_blank = _IS_BLANK[np.minimum(characters, _LAST_BLANK + 1)]
        begins = np.flatnonzero(is_blank[:-1] & ~is_blank[1:])
        return _spread(begins + shift, self._look_up(_WORD.findall(text)))

    def _look_up(self, words: list[str]) -> list[bytes]:
        """For each word the offsets of its tokens in the word, as 32-bit integers."""
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
    cached = list(map(known.get, words))
    if None not in cached:
        return cast(list[bytes], cached)
    new = list(dict.fromkeys(word for word, offsets in zip(words, cached, strict=True) if offsets is None))
    learnt = dict(zip(new, learn(new), strict=True))
    if len(known) + len(new) > _MOST_WORDS:
        known.clear()
    known.update((word, offsets) for word, offsets in learnt.items() if len(word) <= _LONGEST_WORD)
    return [learnt[word] if offsets is None else offsets for word, offsets in zip(words, cached, strict=True)]


def _spread(begins: np.ndarray, offsets: list[bytes]) -> np.ndarray:
    """Start offsets of all tokens, from the starts of the words and the offsets in each word."""
    counts = np.fromiter(map(len, offsets), np.int64, len(offsets)) // 4
    return np.repeat(begins, counts) + np.frombuffer(b"".join(offsets), np.int32)


def _by_word(starts: np.ndarray, words: list[str]) -> list[bytes]:
    """The reverse of `_spread`, for words that are joined by single blanks."""
    begins = list(accumulate((len(word) + 1 for word in words), initial=0))
    firsts = np.searchsorted(starts, begins)
    within = (starts - np.repeat(begins[:-1], np.diff(firsts))).astype(np.int32).tobytes()
    return [within[first:last] for first, last in pairwise((4 * firsts).tolist())]


@lru_cache(maxsize=2)
def words_of(tokenizer: Tokenizer) -> Words | None:
    """The word cache of a tokenizer that reads each word alone; None for any other tokenizer."""
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
    """Pieces of a text for the tokenizer, cut after a line or a word where possible."""
    start = 0
    while start < len(text):
        end = min(start + _PIECE, len(text))
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or text.rfind(" ", start, end) + 1 or end
        yield start, end
        start = end
