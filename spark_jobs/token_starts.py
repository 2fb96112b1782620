"""Where a document's tokens begin: the ruler by which the chunker cuts.

A tokenizer of BERT's kind never looks across a blank, so the tokens of a text are those of its words, and most words
of a corpus are repeats: each is tokenized once and remembered. That takes a fraction of the time that tokenizing the
text takes, and because it is exact, a chunk that begins and ends at blanks need not be tokenized again to be measured.
Any other tokenizer reads the text itself.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

import numpy as np
from tokenizers import Tokenizer

# What such a tokenizer takes for a blank, and Unicode too: it deletes others, such as a form feed.
_BLANKS = " \t\n\r"
_WORD = re.compile(f"[^{_BLANKS}]+")
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
    """The words that a tokenizer has met, each with the offsets of its tokens. Build it with `words_of`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, bytes] = {}

    def count(self, text: str) -> int:
        """Tokens of a text, special ones left out."""
        return sum(map(len, self._look_up(_WORD.findall(text)))) // 4

    def token_starts(self, text: str, shift: int) -> np.ndarray:
        """Offsets of the text's tokens, each moved by `shift`, as 64-bit integers."""
        found = self._look_up(_WORD.findall(text))
        counts = np.fromiter(map(len, found), np.int64, len(found)) // 4
        within = np.frombuffer(b"".join(found), np.int32)
        characters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        is_blank = np.isin(characters, [ord(blank) for blank in _BLANKS])
        begins = np.flatnonzero(~is_blank & np.concatenate(([True], is_blank[:-1])))
        return np.repeat(begins + shift, counts) + within

    def _look_up(self, words: list[str]) -> list[bytes]:
        """For each word the offsets of its tokens within it, as 32-bit integers."""
        known = self._known
        new = [word for word in dict.fromkeys(words) if word not in known]
        if not new:
            return [known[word] for word in words]
        learnt = self._tokenized(new)
        found = [known[word] if word in known else learnt[word] for word in words]
        if len(known) + len(learnt) > _MOST_WORDS:
            known.clear()
        known.update((word, offsets) for word, offsets in learnt.items() if len(word) <= _LONGEST_WORD)
        return found

    def _tokenized(self, words: list[str]) -> dict[str, bytes]:
        begins = list(accumulate((len(word) + 1 for word in words), initial=0))
        encoding = self._tokenizer.encode(" ".join(words), add_special_tokens=False)
        starts = np.array([start for start, _ in encoding.offsets], np.int64)
        firsts = np.searchsorted(starts, begins).tolist()
        within = (starts - np.repeat(begins[:-1], np.diff(firsts))).astype(np.int32).tobytes()
        return {word: within[4 * firsts[n] : 4 * firsts[n + 1]] for n, word in enumerate(words)}


@lru_cache(maxsize=2)
def words_of(tokenizer: Tokenizer) -> Words | None:
    """The words of a tokenizer that reads each by itself; None for any other tokenizer."""
    parts = [type(part).__name__ for part in (tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.model)]
    if parts != ["BertNormalizer", "BertPreTokenizer", "WordPiece"] or not tokenizer.normalizer.clean_text:
        return None
    added = tokenizer.get_added_tokens_decoder().values()
    reaches_out = any(token.lstrip or token.rstrip or _WORD.fullmatch(token.content) is None for token in added)
    return None if reaches_out else Words(tokenizer)


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Pieces for the tokenizer, cut behind a line or a word where there is one."""
    start = 0
    while start < len(text):
        end = min(start + _PIECE, len(text))
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or text.rfind(" ", start, end) + 1 or end
        yield start, end
        start = end
