"""The candidate passages of one question, and which of the question's terms their titles and sentences hold.

All input is the question and the stored candidates. `lakehouse.retrieval.multihop.features` builds on it for pairs of
passages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakehouse.index.frequencies import Frequencies
from lakehouse.index.lexical import BM25_B, BM25_K1
from lakehouse.text.hyperlinks import is_address, readable_address
from lakehouse.text.names import Names
from lakehouse.text.search_text import all_words, paired, unbroken
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import key, stem, stems, terms

MAX_TERMS = 48
MAX_SENTENCES = 40
MAX_TEXT = 12_000
TINY = 1e-6


@dataclass(frozen=True)
class CandidatePassage:
    """A passage with its stored names and vector. `vector` (dimension,) has length 1."""

    chunk_id: str
    title: str
    text: str
    vector: np.ndarray
    names: Names
    heading: str = ""

    @cached_property
    def lines(self) -> list[str]:
        """The words of each sentence, with a blank before and after each; at least one line."""
        return self._sentences[0]

    @cached_property
    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of all terms, of the title and then of each sentence; and the number of terms of each of these.

        The hashes are valid in this process only. They let numpy compare thousands of terms at once.
        """
        parts = [terms(self.title[:MAX_TEXT]), *self._sentences[1]]
        hashes = np.fromiter((hash(term) for part in parts for term in part), dtype=np.int64)
        return hashes, np.array([len(part) for part in parts], dtype=np.int64)

    @cached_property
    def title_length(self) -> int:
        """The number of different terms in the title, at least 1."""
        hashes, lengths = self.held
        return max(1, len(set(hashes[: lengths[0]].tolist())))

    @cached_property
    def joined(self) -> str:
        """All lines in one text."""
        return "".join(self.lines)

    @cached_property
    def says_at(self) -> dict[str, tuple[int, ...]]:
        """Numbers of the sentences that hold each name of `names.say`."""
        return {name: self.sentences_with(_text_of(name)) for name in self.names.say}

    def sentences_with(self, name: str) -> tuple[int, ...]:
        """Numbers of the sentences that hold the name; the first sentence if none does."""
        padded = f" {name} "
        if padded in self.joined:
            return tuple(at for at, line in enumerate(self.lines) if padded in line) or (0,)
        return (0,)

    @cached_property
    def _sentences(self) -> tuple[list[str], list[list[str]]]:
        """The line and the terms of each sentence."""
        texts = sentences(unbroken(f"{self.heading}\n{self.text}"[:MAX_TEXT]))[:MAX_SENTENCES] or [""]
        words_of = [all_words(text) for text in texts]
        return [f" {' '.join(sentence)} " for sentence in words_of], [stems(sentence) for sentence in words_of]


def _text_of(name: str) -> str:
    """The part of a name that its sentence holds: of an address the last part, which names the page."""
    return key(readable_address(name).rpartition("/")[2]) if is_address(name) else name


class CandidateTexts:
    """The words of the candidates compared with the question; n candidates, t terms of the question."""

    def __init__(
        self, question: str, vector: np.ndarray, candidates: Sequence[CandidatePassage], frequencies: Frequencies
    ):
        self.candidates = list(candidates)
        self.line = f" {key(question[:MAX_TEXT])} "
        self._frequencies = frequencies
        self._vector = np.asarray(vector, dtype=np.float32)
        self._read_terms(question)
        self._read_texts()

    def _read_terms(self, question: str) -> None:
        """The question's terms that some candidate holds, with their idf; no candidate can cover other terms."""
        by_hash = {hash(term): term for term in terms(question)}
        self._held = np.concatenate([candidate.held[0] for candidate in self.candidates] or [np.empty(0, np.int64)])
        hashes = np.fromiter(by_hash, dtype=np.int64, count=len(by_hash))
        held = [by_hash[number] for number in np.unique(hashes[_places(hashes, self._held)[1]]).tolist()]
        idf = self._frequencies.idf(sorted(held))
        rarest = sorted(sorted(held), key=lambda term: -idf[term])[:MAX_TERMS]
        self.terms = sorted(rarest)
        self._place = {term: number for number, term in enumerate(self.terms)}
        written = {stem(word): word for word in paired(all_words(question))}
        self.words = [written[term] for term in self.terms]
        self.idf = np.array([idf[term] for term in self.terms], dtype=np.float32)
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
        self._sentence_terms = counts[is_sentence] > 0
        self._owners = np.repeat(np.arange(n), of_candidate - 1)
        self._begins = titles - np.arange(n)
        whole = np.add.reduceat(counts, titles, axis=0) if n else np.zeros((0, t), dtype=np.float32)
        length = np.add.reduceat(lengths, titles).astype(np.float32) if n else np.zeros(0, dtype=np.float32)
        damping = BM25_K1 * (1 - BM25_B + BM25_B * length / max(float(length.mean()) if n else 1, 1))
        self._frequency = whole / (whole + damping[:, None])
        self.covered = whole > 0

    def _counts(self, lengths: np.ndarray) -> np.ndarray:
        """How often each title or sentence, of these lengths in terms, holds each term: (len(lengths), t)"""
        t = len(self.terms)
        if not t:
            return np.zeros((len(lengths), 0), dtype=np.float32)
        hashes = np.array([hash(term) for term in self.terms], dtype=np.int64)
        is_term, places = _places(hashes, self._held)
        parts = np.repeat(np.arange(len(lengths)), lengths)[is_term]
        counts = np.bincount(parts * t + places, minlength=len(lengths) * t)
        return counts.reshape(-1, t).astype(np.float32)

    @cached_property
    def named(self) -> tuple[np.ndarray, np.ndarray]:
        """How certainly the question names each candidate's document, and the share of idf in the longest such name."""
        owners: dict[str, list[tuple[int, float]]] = {}
        share = np.zeros(len(self.candidates), dtype=np.float32)
        for number, candidate in enumerate(self.candidates):
            for name, weight in candidate.names.own.items():
                if f" {name} " in self.line:
                    owners.setdefault(name, []).append((number, weight))
                    places = {self._place[stem(word)] for word in name.split() if stem(word) in self._place}
                    share[number] = max(share[number], self.idf[list(places)].sum() / self._all_idf)
        certainties = np.zeros(len(self.candidates), dtype=np.float32)
        longer: list[str] = []
        for name in sorted(owners, key=len, reverse=True):
            is_part = any(f" {name} " in f" {other} " for other in longer)
            longer.append(name)
            for number, weight in owners[name]:
                certainty = weight * (0.3 if is_part else 1.0) / len(owners[name]) ** 0.5
                certainties[number] = max(certainties[number], certainty)
        return certainties, share

    @cached_property
    def first_search(self) -> np.ndarray:
        """The score that chooses the seeds, (n,), with weights set by hand."""
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
    """Which values are among the known ones, (len(values),), and the position of each such value in `known`."""
    if not len(known):
        return np.zeros(len(values), dtype=bool), np.empty(0, dtype=np.int64)
    order = np.argsort(known)
    at = order[np.minimum(np.searchsorted(known, values, sorter=order), len(known) - 1)]
    is_known = known[at] == values
    return is_known, at[is_known]
