"""Candidate passages of one question, and what their words say of it: terms, sentences, titles and names.

Everything comes from the question and from what lies beside the candidates in the index. What follows from it for
pairs of passages: `lakehouse.retrieval.multihop.features`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakehouse.index.frequencies import Frequencies
from lakehouse.index.lexical import BM25_B, BM25_K1
from lakehouse.text.hyperlinks import is_address, shown
from lakehouse.text.identifiers import with_words
from lakehouse.text.names import Names
from lakehouse.text.terms import key, sentences, stem, stems, terms, words

MAX_TERMS = 48
MAX_SENTENCES = 40
MAX_TEXT = 12_000
TINY = 1e-6


@dataclass(frozen=True)
class Candidate:
    """A passage with what the index keeps beside it. `vector` (dimension,) has length 1."""

    chunk_id: str
    title: str
    text: str
    vector: np.ndarray
    names: Names
    heading: str = ""

    @cached_property
    def lines(self) -> list[str]:
        """Of each sentence its words between blanks; at least one."""
        return self._cut[0]

    @cached_property
    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of all terms, of the title and then of each sentence, and of how many each of these is made.

        Hashes of this process, for terms are compared by number, thousands at once.
        """
        parts = [terms(self.title[:MAX_TEXT]), *self._cut[1]]
        hashes = np.fromiter((hash(term) for part in parts for term in part), dtype=np.int64)
        return hashes, np.array([len(part) for part in parts], dtype=np.int64)

    @cached_property
    def title_length(self) -> int:
        """How many different terms the title has, at least one."""
        hashes, lengths = self.held
        return max(1, len(set(hashes[: lengths[0]].tolist())))

    @cached_property
    def joined(self) -> str:
        """All lines in one text."""
        return "".join(self.lines)

    @cached_property
    def says_at(self) -> dict[str, tuple[int, ...]]:
        """In which sentences each name stands that the passage speaks of."""
        return {name: self.sentences_with(_written(name)) for name in self.names.say}

    def sentences_with(self, name: str) -> tuple[int, ...]:
        """Numbers of the sentences that hold the name; the first where none does."""
        padded = f" {name} "
        if padded in self.joined:
            return tuple(at for at, line in enumerate(self.lines) if padded in line) or (0,)
        return (0,)

    @cached_property
    def _cut(self) -> tuple[list[str], list[list[str]]]:
        cut = sentences(f"{self.heading}\n{self.text}"[:MAX_TEXT])[:MAX_SENTENCES] or [""]
        folded = [words(with_words(sentence)) for sentence in cut]
        return [f" {' '.join(found)} " for found in folded], [stems(found) for found in folded]


def _written(name: str) -> str:
    """What of a name stands in its sentence: of an address the last part, with a page's own name."""
    return key(shown(name).rpartition("/")[2]) if is_address(name) else name


class Texts:
    """What the candidates' words say of a question; n candidates, t of the question's terms."""

    def __init__(self, question: str, vector: np.ndarray, candidates: Sequence[Candidate], frequencies: Frequencies):
        self.candidates = list(candidates)
        self.line = f" {key(question[:MAX_TEXT])} "
        self._frequencies = frequencies
        self._vector = np.asarray(vector, dtype=np.float32)
        self._read_terms(question)
        self._read_texts()

    # Reading

    def _read_terms(self, question: str) -> None:
        """Terms of the question that some candidate knows, with their idf: the others no candidate can cover."""
        asked = {hash(term): term for term in terms(question)}
        self._held = np.concatenate([candidate.held[0] for candidate in self.candidates] or [np.empty(0, np.int64)])
        known_hashes = np.fromiter(asked, dtype=np.int64, count=len(asked))
        held = [asked[found] for found in np.unique(known_hashes[_places(known_hashes, self._held)[1]]).tolist()]
        known = self._frequencies.idf(sorted(held))
        rarest = sorted(sorted(held), key=lambda term: -known[term])[:MAX_TERMS]
        self.terms = sorted(rarest)
        self._place = {term: number for number, term in enumerate(self.terms)}
        written = {stem(word): word for word in words(with_words(question))}
        self.words = [written[term] for term in self.terms]
        self.idf = np.array([known[term] for term in self.terms], dtype=np.float32)
        self._all_idf = max(float(self.idf.sum()), TINY)

    def _read_texts(self) -> None:
        """Count the question's terms in all titles and sentences at once."""
        n, t = len(self.candidates), len(self.terms)
        parts = [candidate.held[1] for candidate in self.candidates]
        lengths = np.concatenate(parts or [np.empty(0, np.int64)])
        of_candidate = np.array([len(part) for part in parts], dtype=np.int64)
        titles = np.cumsum(of_candidate) - of_candidate  # a title is the first part of its candidate
        counts = self._counts(lengths)
        is_sentence = np.ones(len(lengths), dtype=bool)
        is_sentence[titles] = False
        self._titles = counts[titles] > 0
        self._title_length = np.array([candidate.title_length for candidate in self.candidates], dtype=np.float32)
        self._sentences = counts[is_sentence] > 0
        self._owners = np.repeat(np.arange(n), of_candidate - 1)
        self._begins = titles - np.arange(n)
        whole = np.add.reduceat(counts, titles, axis=0) if n else np.zeros((0, t), dtype=np.float32)
        length = np.add.reduceat(lengths, titles).astype(np.float32) if n else np.zeros(0, dtype=np.float32)
        damping = BM25_K1 * (1 - BM25_B + BM25_B * length / max(float(length.mean()) if n else 1, 1))
        self._frequency = whole / (whole + damping[:, None])
        self.covered = whole > 0

    def _counts(self, lengths: np.ndarray) -> np.ndarray:
        """How often each part of the candidates, of these lengths, holds each term: (len(lengths), t)"""
        t = len(self.terms)
        if not t:
            return np.zeros((len(lengths), 0), dtype=np.float32)
        hashes = np.array([hash(term) for term in self.terms], dtype=np.int64)
        is_asked, places = _places(hashes, self._held)
        parts = np.repeat(np.arange(len(lengths)), lengths)[is_asked]
        found = np.bincount(parts * t + places, minlength=len(lengths) * t)
        return found.reshape(-1, t).astype(np.float32)

    # Of a candidate alone

    @cached_property
    def named(self) -> tuple[np.ndarray, np.ndarray]:
        """How surely the question names each document, by the longest name, and the idf share of the longest."""
        found: dict[str, list[tuple[int, float]]] = {}
        share = np.zeros(len(self.candidates), dtype=np.float32)
        for number, candidate in enumerate(self.candidates):
            for name, weight in candidate.names.own.items():
                if f" {name} " in self.line:
                    found.setdefault(name, []).append((number, weight))
                    places = {self._place[stem(word)] for word in name.split() if stem(word) in self._place}
                    share[number] = max(share[number], self.idf[list(places)].sum() / self._all_idf)
        sure = np.zeros(len(self.candidates), dtype=np.float32)
        longer: list[str] = []
        for name in sorted(found, key=len, reverse=True):
            is_part = any(f" {name} " in f" {other} " for other in longer)
            longer.append(name)
            for number, weight in found[name]:
                certainty = weight * (0.3 if is_part else 1.0) / len(found[name]) ** 0.5
                sure[number] = max(sure[number], certainty)
        return sure, share

    @cached_property
    def first_search(self) -> np.ndarray:
        """The score that seeds are chosen by, (n,): nothing of it is learned."""
        title = self._titles.sum(axis=1) / self._title_length
        return self._cosine + 0.3 * self._bm25 / max(float(self._bm25.max()), TINY) + 0.1 * title + 0.2 * self.named[0]

    @cached_property
    def _vectors(self) -> np.ndarray:
        return np.stack([candidate.vector for candidate in self.candidates]).astype(np.float32)

    @cached_property
    def _cosine(self) -> np.ndarray:
        return np.asarray(self._vectors @ self._vector)

    @cached_property
    def _bm25(self) -> np.ndarray:
        return np.asarray(self._frequency @ self.idf / self._all_idf)

    def _best_sentence(self, by_sentence: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum.reduceat(by_sentence, self._begins, axis=0))


def _places(known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the values are among the known ones, (len(values),), and where each of these stands there."""
    if not len(known):
        return np.zeros(len(values), dtype=bool), np.empty(0, dtype=np.int64)
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)]
    is_known = known[at] == values
    return is_known, at[is_known]
