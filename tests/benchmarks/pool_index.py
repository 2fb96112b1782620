"""A corpus file as an index in memory, with beside each passage what the product would store there.

Every document counts as one chunk. It holds what three round trips to an engine would bring, and no more: a first
search by vector and by words, then passages by id. Names, weights and neighbours come from the text alone.
"""

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np

from lakehouse.embedding import BUNDLED_MODEL, embedded_text, load_embedder
from lakehouse.entities import entities, names
from lakehouse.lexical import BM25_B, BM25_K1
from lakehouse.multihop_candidates import Neighbour
from lakehouse.multihop_features import Candidate
from lakehouse.terms import key, terms
from spark_jobs.hyperlinks import without_targets
from spark_jobs.mentions import Matcher, longest, names_of

MAX_COMMON = 20
MAX_COMMON_SHARE = 0.03
MAX_OWNERS = 20
MAX_NEIGHBOURS = 64
ENCODED_AT_ONCE = 200


@dataclass(frozen=True)
class Question:
    text: str
    vector: np.ndarray
    gold: frozenset[int]
    hops: int
    id: str


class PoolIndex:
    """All passages of a corpus file, and its questions."""

    def __init__(self, folder: Path, cache: Path, max_neighbours: int = MAX_NEIGHBOURS) -> None:
        self.name = folder.name
        self.documents = _lines(folder / "corpus.jsonl")
        asked = _lines(folder / "questions.jsonl")
        numbers = {document["id"]: number for number, document in enumerate(self.documents)}
        texts = [embedded_text(document["title"], (), document["text"]) for document in self.documents]
        self.vectors = encoded(texts, cache, f"{folder.name}.corpus")
        vectors = encoded([question["question"] for question in asked], cache, f"{folder.name}.questions")
        self.questions = [
            Question(one["question"], vector, frozenset(numbers[gold] for gold in one["gold_ids"]),
                     len(one["gold_ids"]), one["id"])
            for one, vector in zip(asked, vectors, strict=True)
        ]  # fmt: skip
        begun = time.process_time()
        self._index_words()
        self._index_names()
        self._connect(max_neighbours)
        self.build_seconds = time.process_time() - begun

    def _index_words(self) -> None:
        split = [terms(f"{document['title']}\n{document['text']}") for document in self.documents]
        frequency = Counter(term for found in split for term in set(found))
        count = len(split)
        self.idf = {term: math.log(1 + (count - df + 0.5) / (df + 0.5)) for term, df in frequency.items()}
        self._terms = [dict.fromkeys(found) for found in split]
        self._bm25 = bm25s.BM25(method="lucene", k1=BM25_K1, b=BM25_B)
        self._bm25.index(split, show_progress=False)

    def _index_names(self) -> None:
        matcher = Matcher(name.text for document in self.documents for name in names_of(document["title"]))
        self._own = [names(document["title"], document["text"]) for document in self.documents]
        self._owners: dict[str, dict[int, float]] = defaultdict(dict)
        for number, own in enumerate(self._own):
            for name, weight in own.items():
                self._owners[name][number] = weight
        self._spoken = []
        for number, document in enumerate(self.documents):
            text = without_targets(document["text"])
            spoken = set(entities(text)) | {key(found.name) for found in longest(matcher.find(text))}
            self._spoken.append(spoken | set(self._own[number]))
        held = Counter(name for spoken in self._spoken for name in spoken)
        count = len(self.documents)
        limit = max(MAX_COMMON, MAX_COMMON_SHARE * count)
        rarity = {name: math.log(count / df) / math.log(count) for name, df in held.items() if df <= limit}
        self._weights = {
            name: (
                rare if held[name] > 1 else 0.0,
                rare if 0 < len(self._owners.get(name, ())) <= MAX_OWNERS and held[name] > 1 else 0.0,
            )
            for name, rare in rarity.items()
        }

    def _connect(self, limit: int) -> None:
        """The strongest neighbours of each passage, whoever asks whatever."""
        holders: dict[str, list[int]] = defaultdict(list)
        for number, spoken in enumerate(self._spoken):
            for name in spoken:
                if max(self._weights.get(name, (0, 0))) > 0:
                    holders[name].append(number)
        self.neighbours: list[list[Neighbour]] = []
        for number, spoken in enumerate(self._spoken):
            best: dict[int, Neighbour] = {}
            for name in spoken:
                for other, weight, is_link in self._ways(number, name, holders):
                    if other != number and (other not in best or best[other].weight < weight):
                        best[other] = Neighbour(str(other), name, is_link, weight)
            self.neighbours.append(sorted(best.values(), key=lambda one: -one.weight)[:limit])

    def _ways(self, number: int, name: str, holders: dict[str, list[int]]) -> list[tuple[int, float, bool]]:
        share, link = self._weights.get(name, (0.0, 0.0))
        found = [(other, 0.5 * share * share, False) for other in holders.get(name, ())] if share else []
        if link and name not in self._own[number]:
            found += [(other, link * weight, True) for other, weight in self._owners[name].items()]
        if link and name in self._own[number]:
            found += [(other, 0.5 * link * self._own[number][name], True) for other in holders.get(name, ())]
        return found

    def candidate(self, number: int) -> Candidate:
        document = self.documents[number]
        weights = {name: self._weights[name] for name in self._spoken[number] if name in self._weights}
        idf = {term: self.idf[term] for term in self._terms[number]}
        return Candidate(str(number), document["title"], document["text"], self.vectors[number], weights, idf)

    def dense(self, question: Question, depth: int) -> list[int]:
        return _best(self.vectors @ question.vector, depth)

    def lexical(self, question: Question, depth: int) -> list[int]:
        asked = [term for term in dict.fromkeys(terms(question.text)) if term in self.idf]
        if not asked:
            return []
        scores = self._bm25.get_scores(asked)
        return [number for number in _best(scores, depth) if scores[number] > 0]


def encoded(texts: Sequence[str], cache: Path, name: str) -> np.ndarray:
    """Vectors by the bundled model, kept in the cache folder part by part, so that a run cut short goes on."""
    parts = []
    for begin in range(0, len(texts), ENCODED_AT_ONCE):
        path = cache / f"{name}.{begin}.npy"
        if not path.exists():
            unfinished = path.with_suffix(".part.npy")
            np.save(unfinished, load_embedder(BUNDLED_MODEL).encode(texts[begin : begin + ENCODED_AT_ONCE]))
            unfinished.rename(path)
        parts.append(np.load(path))
    return np.concatenate(parts)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _best(scores: np.ndarray, depth: int) -> list[int]:
    depth = min(depth, len(scores))
    found = np.argpartition(-scores, depth - 1)[:depth]
    return [int(number) for number in found[np.argsort(-scores[found], kind="stable")]]
