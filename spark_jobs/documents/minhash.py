"""MinHash signatures of texts: the similarity of two texts, estimated from 512 bytes of each. No Spark here.

A text is the set of its runs of five words, without case and punctuation. For each of 128 hash functions the signature
keeps the smallest hash of that set. The share of equal places of two signatures estimates the Jaccard similarity s of
the sets with a standard error of sqrt(s (1 - s) / 128): 0.027 at 0.9, 0.044 at 0.5 (Broder, "On the resemblance and
containment of documents", 1997). The functions are constants: a stored signature compares with a new one.

Spark's MinHashLSH takes vectors of numbered words and has bands of one hash only: it would compare every two documents
that agree in one hash of 128. datasketch 2.0 hashes each run in Python, and all runs of a text at once. It took 1.87
times the processor time of this module for passages of 532 characters, 3.88 times for texts of 26,644, and 781 MiB more
memory for a text of 5 MB (`python -m tests.benchmarks.minhash CORPUS`). Its signatures are other numbers: every stored
signature would have to be computed again.
"""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

HASHES = 128
WORDS = 5
# The largest share of pairs at the requested similarity that may share no band, and so be missed.
_MISSED = 0.01
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2^64
_PIECE = 1 << 17  # characters hashed at once, so that a text of 10 MB needs little memory
_BLOCK = 512  # runs hashed at once, so that their products stay in the processor's cache
_IDEOGRAPHS = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF))

Hashes = npt.NDArray[np.uint64]


def minhash(text: str) -> npt.NDArray[np.int32]:
    """The signature of a text, shape (128,); empty for a text without a letter or digit."""
    runs = _run_hashes(_word_hashes(text))
    if not len(runs):
        return np.empty(0, np.int32)
    factors, terms = _functions()
    least = np.full(HASHES, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(runs), _BLOCK):
        np.minimum(least, (runs[start : start + _BLOCK, None] * factors + terms).min(axis=0), out=least)
    return (least >> np.uint64(32)).astype(np.uint32).view(np.int32)


def bands(similarity: float) -> tuple[int, int]:
    """The number of bands, and of hashes in each, that find 99 % of the pairs of a similarity at the least cost.

    Two signatures are compared if they agree in all hashes of one band: with probability 1 - (1 - s^rows)^bands.
    """
    rows = max(rows for rows in range(1, HASHES + 1) if (1 - similarity**rows) ** (HASHES // rows) <= _MISSED)
    return HASHES // rows, rows


def _word_hashes(text: str) -> Hashes:
    """A hash of each word, in order. A Chinese or Japanese character is a word: no blanks separate these words."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    pieces = [_piece_hashes(folded[start : start + _PIECE]) for start in range(0, len(folded), _PIECE)]
    return np.concatenate(pieces) if pieces else np.empty(0, np.uint64)


def _piece_hashes(text: str) -> Hashes:
    """Polynomial hashes of all words at once: differences of one running sum, scaled to the same power."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _kinds()[np.minimum(codes, 0xFFFF)]
    is_word, is_alone = kinds > 0, kinds == 2
    glued = is_word[1:] & is_word[:-1] & ~is_alone[1:] & ~is_alone[:-1]
    starts = np.flatnonzero(is_word & ~np.concatenate(([False], glued)))
    ends = np.flatnonzero(is_word & ~np.concatenate((glued, [False]))) + 1
    powers, inverses = _powers()
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(codes * powers[: len(codes)], dtype=np.uint64)))
    return _mixed((sums[ends] - sums[starts]) * inverses[starts])


def _run_hashes(words: Hashes) -> Hashes:
    """A hash of each run of five words; of all words, if there are fewer than five."""
    length = min(WORDS, len(words))
    count = len(words) - length + 1 if length else 0
    hashed = np.zeros(count, np.uint64)
    for place in range(length):
        hashed = hashed * np.uint64(_BASE) + words[place : place + count]
    return _mixed(hashed)


def _mixed(hashes: Hashes) -> Hashes:
    """The finalizer of SplitMix64: every bit of the result depends on every bit of the hash."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


@cache
def _functions() -> tuple[Hashes, Hashes]:
    """Factors and terms of the hash functions: constants of the stored format, made by SplitMix64."""
    drawn = _mixed(np.arange(1, 2 * HASHES + 1, dtype=np.uint64) * np.uint64(_BASE))
    return drawn[:HASHES] | np.uint64(1), drawn[HASHES:]


@cache
def _powers() -> tuple[Hashes, Hashes]:
    def powers(base: int) -> Hashes:
        return np.concatenate((np.ones(1, np.uint64), np.cumprod(np.full(_PIECE - 1, base, np.uint64))))

    return powers(_BASE), powers(pow(_BASE, -1, 1 << 64))


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """By code point: 0 separates words, 1 is part of a word, 2 is a word. Higher planes are like U+FFFF."""
    kinds = np.fromiter((chr(code).isalnum() for code in range(1 << 16)), np.uint8)
    for first, last in _IDEOGRAPHS:
        kinds[first : last + 1] *= 2
    kinds[-1] = 2  # U+FFFF is no character; beyond lie ideographs and emoji
    return kinds
