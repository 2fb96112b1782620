"""What is known of some 80 candidate passages of a question, and of each pair of them, as numbers.

Everything comes from the question and from what lies beside the candidates in the index: text, vector, the names they
speak of with the weights those have in the whole tenant, and how rare their terms are. No corpus is at hand here, and
nothing is looked up. `OWN` and `PAIR` name the features; what each means stands beside its name, for the weights file
and the explanations are read by these names.

Shapes: n candidates, s seeds (the first of them), t terms of the question, m distinct names, r (candidate, name) pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lakehouse.entities import names
from lakehouse.frequencies import OWN as OWN_KEY, SAY, Frequencies
from lakehouse.lexical import BM25_B, BM25_K1
from lakehouse.terms import key, sentences, stem, terms, words

OWN = {
    "cosine": "of question and passage",
    "cosine_gap": "how far the cosine stays below the best candidate's",
    "bm25": "of the question's terms, over the sum of their idf",
    "first_search": "cosine, bm25, title and name in one score, weighted by hand: what the seeds are chosen by",
    "coverage": "share of the question's terms, by idf, that the passage or its title holds",
    "sentence_coverage": "the same for its best sentence with the title",
    "text_coverage": "the same for its best sentence without the title",
    "text_share": "text_coverage over coverage",
    "named": "the question names the passage's document, by the longest name that fits",
    "named_share": "share of the question's terms, by idf, in that name",
    "named_whole": "named times named_share",
    "title_coverage": "share of the title's terms that the question holds",
    "walk": "personalised PageRank from the best seeds over the candidates' connections",
    "walk_log": "its logarithm",
    "dense_rank": "one over the place by cosine",
    "words_rank": "one over the place by bm25",
    "is_first": "first by first_search",
}
PAIR = {
    "link": "the seed speaks of the candidate by name",
    "link_named": "the same, by a name that the question says itself",
    "link_sentence": "link times what the naming sentence covers of the question",
    "link_focus": "link, less for a seed that names many candidates",
    "named_link": "link times whether the question names the seed",
    "back": "the candidate speaks of the seed by name",
    "back_sentence": "back times what the naming sentence covers of the question",
    "shared": "both speak of the same rare names, which the question does not say",
    "shared_squared": "shared, squared",
    "shared_sentence": "shared, by names whose sentences cover the question",
    "residual": "bm25 of the terms that the seed leaves open, over the idf of all terms",
    "residual_share": "share of what the seed leaves open that the candidate covers",
    "residual_sentence": "the same for the candidate's best sentence, over all terms",
    "residual_at_name": "what the sentence with the connecting name covers of what the seed leaves open",
    "joint_coverage": "what both cover together",
    "cosine": "of the two passages",
    "same_title": "both have the same title",
    "connection": "link, back and shared in one",
    "connected_residual": "connection times residual",
    "connected_at_name": "connection times residual_at_name",
}
MAX_TERMS = 48
MAX_SENTENCES = 40
MAX_TEXT = 12_000
_WALK_SEEDS = 20
_WALK_ROUNDS = 12
_SHARPNESS = 0.1
_LEAST_NAME = 3
_TINY = 1e-6


@dataclass(frozen=True)
class Candidate:
    """A passage with what the index keeps beside it. `vector` (dimension,) has length 1.

    `spoken`: keys of the names that it speaks of.
    """

    chunk_id: str
    title: str
    text: str
    vector: np.ndarray
    spoken: Sequence[str]

    @cached_property
    def title_terms(self) -> list[str]:
        """Terms of the title, repeats included."""
        return terms(self.title[:MAX_TEXT])

    @cached_property
    def lines(self) -> list[tuple[str, list[str]]]:
        """Of each sentence its words between blanks, and its terms; at least one."""
        cut = sentences(self.text[:MAX_TEXT])[:MAX_SENTENCES] or [""]
        return [(f" {key(sentence)} ", terms(sentence)) for sentence in cut]

    @cached_property
    def held_terms(self) -> set[str]:
        """Distinct terms of title and text."""
        return set(self.title_terms).union(*(found for _, found in self.lines))

    @cached_property
    def names(self) -> dict[str, float]:
        """By which names others may speak of its document, and how surely each means it."""
        return names(self.title, self.text)


def weights(frequencies: Frequencies, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Of each name how much sharing it says, and how much naming it does, (len(names),) each, 0 to 1."""
    rare = frequencies.rarity(SAY, names)
    common = np.maximum(MAX_COMMON, MAX_COMMON_SHARE * frequencies.chunks)
    share = np.where(frequencies.counts([SAY + name for name in names]) <= common, rare, 0)
    link = np.where(frequencies.counts([OWN_KEY + name for name in names]) <= MAX_OWNERS, share, 0)
    return share, link


MAX_COMMON = 20
MAX_COMMON_SHARE = 0.03
MAX_OWNERS = 20


class Evidence:
    """The features of one question's candidates; the first `seeds` of them may lead to others."""

    def __init__(
        self, question: str, vector: np.ndarray, candidates: Sequence[Candidate], seeds: int, frequencies: Frequencies
    ) -> None:
        self.candidates = list(candidates)
        self.seeds = min(seeds, len(self.candidates))
        self.line = f" {key(question)} "
        self._frequencies = frequencies
        self._vector = np.asarray(vector, dtype=np.float32)
        self._read_terms(question)
        self._read_texts()
        self._read_names()

    # Reading

    def _read_terms(self, question: str) -> None:
        """Terms of the question that some candidate knows, with their idf: the others no candidate can cover."""
        asked = set(terms(question[:MAX_TEXT]))
        held = {term for candidate in self.candidates for term in asked.intersection(candidate.held_terms)}
        known = self._frequencies.idf(sorted(held))
        rarest = sorted(held, key=lambda term: -known[term])[:MAX_TERMS]
        self.terms = sorted(rarest)
        self._place = {term: number for number, term in enumerate(self.terms)}
        written = {stem(word): word for word in words(question)}
        self.words = [written[term] for term in self.terms]
        self.idf = np.array([known[term] for term in self.terms], dtype=np.float32)
        self._all_idf = max(float(self.idf.sum()), _TINY)

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

    def _read_names(self) -> None:
        numbers: dict[str, int] = {}
        for candidate in self.candidates:
            for name in candidate.spoken:
                numbers.setdefault(name, len(numbers))
        self.names = list(numbers)
        share, link = weights(self._frequencies, self.names)
        shape = (len(self.candidates), len(numbers))
        self._owned, self._shares, self._links = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        pairs: list[tuple[int, int]] = []
        sentence_numbers: list[int] = []
        begins: list[int] = []
        for number, candidate in enumerate(self.candidates):
            for name, weight in candidate.names.items():
                if name in numbers:
                    self._owned[number, numbers[name]] = weight
            first, last = self._sentence_range(number)
            for name in candidate.spoken:
                place = numbers[name]
                self._shares[number, place], self._links[number, place] = share[place], link[place]
                pairs.append((number, place))
                begins.append(len(sentence_numbers))
                holding = [at for at in range(first, last) if f" {name} " in self._lines[at]]
                sentence_numbers.extend(holding or [first])
        self._pairs = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
        self._at = np.array(sentence_numbers, dtype=np.int64)
        self._pair_begins = np.array(begins, dtype=np.int64)
        self.is_asked = np.array([len(n) >= _LEAST_NAME and f" {n} " in self.line for n in self.names], dtype=bool)
        self._links = np.where(self._owned > 0, 0, self._links)  # who has a name means itself by it

    def _sentence_range(self, number: int) -> tuple[int, int]:
        is_last = number + 1 == len(self._begins)
        return int(self._begins[number]), len(self._lines) if is_last else int(self._begins[number + 1])

    # Of a candidate alone

    @cached_property
    def named(self) -> tuple[np.ndarray, np.ndarray]:
        """How surely the question names each document, by the longest name, and the idf share of the longest."""
        found: dict[str, list[tuple[int, float]]] = {}
        share = np.zeros(len(self.candidates), dtype=np.float32)
        for number, candidate in enumerate(self.candidates):
            for name, weight in candidate.names.items():
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
        return self._cosine + 0.3 * self._bm25 / max(float(self._bm25.max()), _TINY) + 0.1 * title + 0.2 * self.named[0]

    @cached_property
    def _vectors(self) -> np.ndarray:
        return np.stack([candidate.vector for candidate in self.candidates]).astype(np.float32)

    @cached_property
    def _cosine(self) -> np.ndarray:
        return np.asarray(self._vectors @ self._vector)

    @cached_property
    def _bm25(self) -> np.ndarray:
        return np.asarray(self._frequency @ self.idf / self._all_idf)

    def own(self) -> np.ndarray:
        """(n, len(OWN))"""
        coverage = self.covered @ self.idf / self._all_idf
        with_title = self._best_sentence((self._sentences | self._titles[self._owners]) @ self.idf) / self._all_idf
        text = self._best_sentence(self._sentences @ self.idf) / self._all_idf
        sure, share = self.named
        walk = self._walk()
        columns = {
            "cosine": self._cosine,
            "cosine_gap": self._cosine - self._cosine.max(),
            "bm25": self._bm25,
            "first_search": self.first_search,
            "coverage": coverage,
            "sentence_coverage": with_title,
            "text_coverage": text,
            "text_share": text / np.maximum(coverage, 0.05),
            "named": sure,
            "named_share": share,
            "named_whole": sure * share,
            "title_coverage": self._titles.sum(axis=1) / self._title_length,
            "walk": walk,
            "walk_log": np.log(walk + 1e-4) / 9,
            "dense_rank": _one_over_rank(self._cosine),
            "words_rank": _one_over_rank(self._bm25),
            "is_first": (self.first_search == self.first_search.max()).astype(np.float32),
        }
        return np.stack([columns[name] for name in OWN], axis=1).astype(np.float32)

    def _best_sentence(self, by_sentence: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum.reduceat(by_sentence, self._begins, axis=0))

    def _walk(self) -> np.ndarray:
        start = np.exp((self.first_search - self.first_search.max()) / _SHARPNESS)
        start[np.argsort(-start, kind="stable")[_WALK_SEEDS:]] = 0
        start /= start.sum()
        link = np.minimum(self._links @ self._owned.T, 1)
        shared = self._shares * ~self.is_asked
        step = 0.6 * (link + 0.5 * link.T) + 0.4 * (1 - np.exp(-shared @ shared.T))
        np.fill_diagonal(step, 0)
        step /= np.maximum(step.sum(axis=0, keepdims=True), _TINY)
        at = start
        for _ in range(_WALK_ROUNDS):
            at = 0.5 * start + 0.5 * (step @ at)
        return np.asarray(at)

    # Of a seed and a candidate

    def pair(self) -> np.ndarray:
        """(s, n, len(PAIR)); zero for a candidate with itself"""
        s = self.seeds
        open_idf = ~self.covered[:s] * self.idf
        by_name = self._coverage_at_names()
        shared = self._shared(np.ones(1, dtype=np.float32))
        link = np.minimum((self._links[:s] * np.where(self.is_asked, 0.3, 1)) @ self._owned.T, 1)
        back = np.minimum(self._owned[:s] @ self._links.T, 1)
        residual = open_idf @ self._frequency.T / self._all_idf
        left = open_idf @ self.covered.T
        at_name = self._residual_at_names(open_idf)
        connection = 1 - (1 - 0.9 * link) * (1 - 0.6 * back) * (1 - 0.6 * shared)
        titles = np.unique([candidate.title for candidate in self.candidates], return_inverse=True)[1]
        columns = {
            "link": link,
            "link_named": np.minimum((self._links[:s] * self.is_asked) @ self._owned.T, 1),
            "link_sentence": np.minimum((self._links[:s] * by_name[:s]) @ self._owned.T, 1),
            "link_focus": link / np.sqrt(1 + (link > 0).sum(axis=1, keepdims=True)),
            "named_link": self.named[0][:s, None] * link,
            "back": back,
            "back_sentence": np.minimum(self._owned[:s] @ (self._links * by_name).T, 1),
            "shared": shared,
            "shared_squared": shared**2,
            "shared_sentence": self._shared(0.2 + by_name),
            "residual": residual,
            "residual_share": left / np.maximum(open_idf.sum(axis=1, keepdims=True), _TINY),
            "residual_sentence": self._best_sentence(self._sentences @ open_idf.T).T / self._all_idf,
            "residual_at_name": at_name,
            "joint_coverage": ((self.covered[:s] @ self.idf)[:, None] + left) / self._all_idf,
            "cosine": self._vectors[:s] @ self._vectors.T,
            "same_title": (titles[:s, None] == titles[None]).astype(np.float32),
            "connection": connection,
            "connected_residual": connection * residual,
            "connected_at_name": connection * at_name,
        }
        found = np.stack([columns[name] for name in PAIR], axis=2).astype(np.float32)
        found[np.arange(s), np.arange(s)] = 0
        return found

    def connection(self, seed: int, other: int) -> tuple[str, str]:
        """How one candidate leads to another, and by which name: `names`, `named_by`, `shares`, or `continues`."""
        ways = {
            "names": self._links[seed] * self._owned[other],
            "named_by": self._owned[seed] * self._links[other],
            "shares": self._shares[seed] * self._shares[other] * ~self.is_asked,
        }
        for how, strength in ways.items():
            if strength.size and strength.max() > 0:
                return how, self.names[int(strength.argmax())]
        return "continues", ""

    def _shared(self, worth: np.ndarray) -> np.ndarray:
        """How much each seed shares with each candidate, (s, n), every mention counted by its worth."""
        worths = np.broadcast_to(worth, self._shares.shape) * self._shares * ~self.is_asked
        return np.asarray(1 - np.exp(-worths[: self.seeds] @ worths.T))

    def _coverage_at_names(self) -> np.ndarray:
        """Share of the question that the best sentence with a name covers, beside the name itself, (n, m)."""
        covered = np.zeros(self._shares.shape, dtype=np.float32)
        if len(self._pairs):
            best = np.maximum.reduceat(self._beside_names @ self.idf, self._pair_begins)
            covered[self._pairs[:, 0], self._pairs[:, 1]] = best / self._all_idf
        return covered

    def _residual_at_names(self, open_idf: np.ndarray) -> np.ndarray:
        """What the candidate's sentence with the name that connects the two covers of what the seed leaves open."""
        s = self.seeds
        found = np.zeros((len(self.candidates), s), dtype=np.float32)
        if len(self._pairs):
            best = np.maximum.reduceat(self._beside_names @ open_idf.T, self._pair_begins, axis=0) / self._all_idf
            owner, name = self._pairs.T
            shares = self._shares * ~self.is_asked
            by_sharing = (shares[:s] > 0).T[name] * shares[owner, name][:, None]
            by_speaking = self._owned[:s].T[name] * self._links[owner, name][:, None]
            np.maximum.at(found, owner, np.maximum(by_sharing, by_speaking) * best)
        return found.T

    @cached_property
    def _beside_names(self) -> np.ndarray:
        """The terms of each sentence that holds a name, without the name's own, a row a (pair, sentence)."""
        of_names = np.zeros((len(self.names), len(self.terms)), dtype=bool)
        for number, name in enumerate(self.names):
            for word in name.split():
                place = self._place.get(stem(word))
                if place is not None:
                    of_names[number, place] = True
        lengths = np.diff(np.append(self._pair_begins, len(self._at)))
        named = np.repeat(self._pairs[:, 1], lengths)
        return np.asarray((self._sentences[self._at] & ~of_names[named]).astype(np.float32))


def _one_over_rank(scores: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(scores), dtype=np.float32)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return 1 / ranks
