"""Candidate passages of one question, and what their words say of it: terms, sentences, titles and names.

Everything comes from the question and from what lies beside the candidates in the index. What follows from it for
pairs of passages: `lakehouse.multihop_features`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakehouse.entities import Names
from lakehouse.frequencies import Frequencies
from lakehouse.lexical import BM25_B, BM25_K1
from lakehouse.terms import key, sentences, stem, stems, terms, words

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
    def title_terms(self) -> list[str]:
        """Terms of the title, repeats included."""
        return terms(self.title[:MAX_TEXT])

    @cached_property
    def lines(self) -> list[tuple[str, list[str]]]:
        """Of each sentence its words between blanks, and its terms; at least one."""
        cut = sentences(f"{self.heading}\n{self.text}"[:MAX_TEXT])[:MAX_SENTENCES] or [""]
        folded = [words(sentence) for sentence in cut]
        return [(f" {' '.join(found)} ", stems(found)) for found in folded]

    @cached_property
    def held_terms(self) -> set[str]:
        """Distinct terms of title and text."""
        return set(self.title_terms).union(*(found for _, found in self.lines))


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
        asked = set(terms(question))
        held = {term for candidate in self.candidates for term in asked.intersection(candidate.held_terms)}
        known = self._frequencies.idf(sorted(held))
        rarest = sorted(held, key=lambda term: -known[term])[:MAX_TERMS]
        self.terms = sorted(rarest)
        self._place = {term: number for number, term in enumerate(self.terms)}
        written = {stem(word): word for word in words(question)}
        self.words = [written[term] for term in self.terms]
        self.idf = np.array([known[term] for term in self.terms], dtype=np.float32)
        self._all_idf = max(float(self.idf.sum()), TINY)

    def _read_texts(self) -> None:
        rows: list[np.ndarray] = []
        owners: list[int] = []
        self._lines: list[str] = []
        self._begins = np.zeros(len(self.candidates), dtype=np.int64)
        counts = np.zeros((len(self.candidates), len(self.terms)), dtype=np.float32)
        lengths = np.zeros(len(self.candidates), dtype=np.float32)
        self._titles = np.zeros(counts.shape, dtype=bool)
        self._title_length = np.ones(len(self.candidates), dtype=np.float32)
        for number, candidate in enumerate(self.candidates):
            self._begins[number] = len(rows)
            self._title_length[number] = max(1, len(set(candidate.title_terms)))
            self._count(candidate.title_terms, counts[number])
            self._titles[number] = counts[number] > 0
            lengths[number] = len(candidate.title_terms)
            for line, found in candidate.lines:
                row = np.zeros(len(self.terms), dtype=np.float32)
                self._count(found, row)
                counts[number] += row
                lengths[number] += len(found)
                rows.append(row > 0)
                owners.append(number)
                self._lines.append(line)
        self._sentences = np.array(rows, dtype=bool).reshape(len(rows), len(self.terms))
        self._owners = np.array(owners, dtype=np.int64)
        damping = BM25_K1 * (1 - BM25_B + BM25_B * lengths / max(float(lengths.mean()) if len(lengths) else 1, 1))
        self._frequency = counts / (counts + damping[:, None])
        self.covered = counts > 0

    def _count(self, found: Sequence[str], row: np.ndarray) -> None:
        for term in found:
            place = self._place.get(term)
            if place is not None:
                row[place] += 1

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
