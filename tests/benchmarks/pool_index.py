"""An index in memory with the product's vectors, words and names of each passage; and a corpus file as such an index.

It answers the product's two round trips: a search by vector and by words, then one by names. Names and their rarity
come from the texts and their places alone. In a corpus file each document is one passage; for manuals see
`tests.benchmarks.manual_pool`.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import bm25s
import numpy as np

from lakehouse.index.embedding import BUNDLED_MODEL, embedded_text, load_embedder
from lakehouse.index.frequencies import Frequencies
from lakehouse.index.lexical import BM25_B, BM25_K1
from lakehouse.retrieval.multihop.texts import CandidatePassage
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import counted_keys, name_vector
from lakehouse.text.names import Names
from lakehouse.text.questions import read_questions
from lakehouse.text.terms import terms

ENCODED_AT_ONCE = 200


@dataclass(frozen=True)
class PoolQuestion:
    """A question with its vector (dimension,); `gold`: numbers of the needed passages, `hops`: how many they are."""

    text: str
    vector: np.ndarray
    gold: frozenset[int]
    hops: int
    id: str


class Row(NamedTuple):
    """A passage. `begins`: whether it is the first of its document."""

    title: str
    heading: str
    text: str
    place: Place | None = None
    begins: bool = True


class MemoryIndex:
    """Passages with their vectors (n, dimension), and questions about them."""

    def __init__(self, name: str, rows: Sequence[Row], vectors: np.ndarray, questions: Sequence[PoolQuestion]) -> None:
        self.name = name
        self.rows = rows
        self.vectors = vectors
        self.questions = questions
        begun = time.process_time()
        self._index_words()
        self._index_names()
        held = Counter(key for row in rows for key in counted_keys(*row[:4], begins=row.begins))
        self.frequencies = Frequencies.of(len(rows), held)
        self.build_seconds = time.process_time() - begun

    def _index_words(self) -> None:
        split = [terms("\n".join((row.title, row.heading, row.text))) for row in self.rows]
        self._known_terms = {term for row_terms in split for term in row_terms}
        self._bm25 = bm25s.BM25(method="lucene", k1=BM25_K1, b=BM25_B)
        self._bm25.index(split, show_progress=False)

    def _index_names(self) -> None:
        self._names = [Names.of(*row[:4]) for row in self.rows]
        postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for number, names in enumerate(self._names):
            for name, weight in name_vector(names).items():
                postings[name].append((number, weight))
        self._postings = {name: tuple(map(np.array, zip(*holders, strict=True))) for name, holders in postings.items()}

    def by_names(self, wanted: Mapping[str, float], depth: int) -> list[tuple[int, float]]:
        """The search by names: passages with the inner product of their name vectors and `wanted`, best first."""
        scores = np.zeros(len(self.rows))
        for name, value in wanted.items():
            if name in self._postings:
                numbers, weights = self._postings[name]
                scores[numbers] += value * weights
        return [(number, float(scores[number])) for number in _best(scores, depth) if scores[number] > 0]

    def candidate(self, number: int) -> CandidatePassage:
        row = self.rows[number]
        return CandidatePassage(
            str(number), row.title, row.text, self.vectors[number], self._names[number], row.heading
        )

    def dense(self, question: PoolQuestion, depth: int) -> list[int]:
        return _best(self.vectors @ question.vector, depth)

    def lexical(self, question: PoolQuestion, depth: int) -> list[int]:
        known_terms = [term for term in dict.fromkeys(terms(question.text)) if term in self._known_terms]
        if not known_terms:
            return []
        scores = self._bm25.get_scores(known_terms)
        return [number for number in _best(scores, depth) if scores[number] > 0]


class PoolIndex(MemoryIndex):
    """All passages of a corpus file, and its questions."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.documents = read_lines(folder / "corpus.jsonl")
        asked = read_questions(folder / "questions.jsonl")
        numbers = {document["id"]: number for number, document in enumerate(self.documents)}
        texts = [embedded_text(document["title"], (), document["text"]) for document in self.documents]
        vectors = encoded([question.text for question in asked], cache, f"{folder.name}.questions")
        questions = [
            PoolQuestion(
                question.text,
                vector,
                frozenset(numbers[gold] for gold in question.gold_ids),
                len(question.gold_ids),
                question.id,
            )
            for question, vector in zip(asked, vectors, strict=True)
        ]
        rows = [Row(document["title"], "", document["text"]) for document in self.documents]
        super().__init__(folder.name, rows, encoded(texts, cache, f"{folder.name}.corpus"), questions)


def encoded(texts: Sequence[str], cache: Path, name: str) -> np.ndarray:
    """Vectors by the bundled model, kept in the cache folder part by part, so that an interrupted run resumes."""
    cache.mkdir(parents=True, exist_ok=True)
    parts = []
    for begin in range(0, len(texts), ENCODED_AT_ONCE):
        path = cache / f"{name}.{begin}.npy"
        if not path.exists():
            unfinished = path.with_suffix(".part.npy")
            np.save(unfinished, load_embedder(BUNDLED_MODEL).encode(texts[begin : begin + ENCODED_AT_ONCE]))
            unfinished.rename(path)
        parts.append(np.load(path))
    return np.concatenate(parts)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _best(scores: np.ndarray, depth: int) -> list[int]:
    depth = min(depth, len(scores))
    best = np.argpartition(-scores, depth - 1)[:depth]
    return [int(number) for number in best[np.argsort(-scores[best], kind="stable")]]
