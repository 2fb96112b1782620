"""Features of some 80 candidate passages of a question, and of each pair of a seed and a candidate.

All input is the question, the stored candidates (text, vector, names) and how rare names and terms are in the tenant.
No other passage is read. `OWN` and `PAIR` name and describe the features; the weights file and the explanations use
these names.

Shapes: n candidates, s seeds (the first candidates), t terms of the question, m distinct names.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain

import numpy as np
from ahocorasick_rs import AhoCorasick

from lakehouse.index.frequencies import Frequencies
from lakehouse.retrieval.multihop.texts import TINY, CandidatePassage, CandidateTexts
from lakehouse.text.hyperlinks import is_address, is_path_end, readable_address
from lakehouse.text.name_keys import OWN as OWN_KEY
from lakehouse.text.name_keys import SAY
from lakehouse.text.terms import stem

OWN = {
    "cosine": "of question and passage",
    "cosine_gap": "how far the cosine stays below the best candidate's",
    "bm25": "of the question's terms, over the sum of their idf",
    "first_search": "cosine, bm25, title and name in one score, weighted by hand; it chooses the seeds",
    "coverage": "share of the question's terms, by idf, that the passage or its title holds",
    "sentence_coverage": "coverage of the best sentence with the title",
    "text_coverage": "coverage of the best sentence without the title",
    "text_share": "text_coverage over coverage",
    "named": "the question names the passage's document; by the longest such name",
    "named_share": "share of the question's terms, by idf, in that name",
    "named_whole": "named times named_share",
    "title_coverage": "share of the title's terms that the question holds",
    "walk": "personalised PageRank from the best seeds over the candidates' connections",
    "walk_log": "logarithm of walk",
    "dense_rank": "1 / rank by cosine",
    "words_rank": "1 / rank by bm25",
    "is_first": "first by first_search",
}
PAIR = {
    "link": "the seed speaks of the candidate by name",
    "link_named": "link by a name that the question itself holds",
    "link_sentence": "link times the naming sentence's coverage of the question",
    "link_focus": "link, less for a seed that names many candidates",
    "named_link": "link times whether the question names the seed",
    "back": "the candidate speaks of the seed by name",
    "back_sentence": "back times the naming sentence's coverage of the question",
    "shared": "both speak of the same rare names, which the question does not hold",
    "shared_squared": "shared, squared",
    "shared_sentence": "shared, by names whose sentences cover the question",
    "residual": "bm25 of the terms that the seed leaves open, over the idf of all terms",
    "residual_share": "share of the terms that the seed leaves open that the candidate covers",
    "residual_sentence": "residual coverage of the candidate's best sentence, over all terms",
    "residual_at_name": "residual coverage of the sentence with the connecting name",
    "through_name": "residual_at_name, less where the seed's sentence with that name covers little of the question",
    "joint_coverage": "coverage of both together",
    "cosine": "of the two passages",
    "cosine_left": "of the candidate and the part of the question's vector that is orthogonal to the seed's",
    "cosine_sum": "of the question and the sum of both vectors",
    "cosine_span": "of the question and the plane of both vectors",
    "same_title": "both have the same title",
    "connection": "link, back and shared in one",
    "connected_residual": "connection times residual",
    "connected_at_name": "connection times residual_at_name",
}
MAX_COMMON = 20
MAX_COMMON_SHARE = 0.03
"""A name in the text of more chunks, by number and by share of all, connects nothing."""
MAX_OWNERS = 20
"""A title or address of more documents, or another name of more chunks, names no document."""
_WALK_SEEDS = 20
_WALK_ROUNDS = 12
_SHARPNESS = 0.1
_LEAST_NAME = 3
_BY_LINK = {"names": "links_to", "named_by": "linked_from"}


def weights(frequencies: Frequencies, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Weights of each name, (len(names),) each, 0 to 1: for two passages that share it, and for one that links by it.

    Sharing a hyperlink's target weighs nothing. The end of a path may belong to several documents and weighs less for
    each of them.
    """
    counts = frequencies.counts([SAY + name for name in names])
    is_common = counts > max(MAX_COMMON, MAX_COMMON_SHARE * frequencies.chunks)
    share = np.where(is_common, 0, frequencies.rarity(counts))
    owned = frequencies.counts([OWN_KEY + name for name in names])
    is_link = np.array([is_address(name) for name in names], dtype=bool)
    is_end = np.array([is_path_end(name) for name in names], dtype=bool)
    link = np.where(owned > MAX_OWNERS, 0, share) / np.where(is_end, owned, 1)
    return np.where(is_link, 0, share), link


class CandidateFeatures(CandidateTexts):
    """The features of one question's candidates; the first `seeds` candidates may lead to other candidates."""

    def __init__(
        self,
        question: str,
        vector: np.ndarray,
        candidates: Sequence[CandidatePassage],
        seeds: int,
        frequencies: Frequencies,
    ) -> None:
        super().__init__(question, vector, candidates, frequencies)
        self.seeds = min(seeds, len(self.candidates))
        self._read_names()

    def _read_names(self) -> None:
        """Keep the names of at least two candidates: other names connect nothing, and nine of ten are of one alone."""
        all_spoken, all_owned = self._spoken_names(), [candidate.names.own for candidate in self.candidates]
        holders = Counter(
            chain.from_iterable(say.keys() | own.keys() for say, own in zip(all_spoken, all_owned, strict=True))
        )
        spoken = [{name: certainty for name, certainty in names.items() if holders[name] > 1} for names in all_spoken]
        owned = [{name: certainty for name, certainty in names.items() if holders[name] > 1} for names in all_owned]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(chain(*spoken, *owned)))}
        self.names = list(numbers)
        share, link = weights(self._frequencies, self.names)
        shape = (len(self.candidates), len(numbers))
        self._owned, self._shares, self._links = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        for number, names in enumerate(owned):
            self._owned[number, [numbers[name] for name in names]] = list(names.values())
        places = np.array([numbers[name] for names in spoken for name in names], dtype=np.int64)
        owners = np.repeat(np.arange(len(spoken)), [len(names) for names in spoken])
        certainty = np.array([weight for names in spoken for weight in names.values()], dtype=np.float32)
        self._pairs = np.stack([owners, places], axis=1)
        self._shares[owners, places] = certainty * share[places]
        self._links[owners, places] = certainty * link[places]
        self._read_places(spoken)
        self.is_asked = np.array([len(n) >= _LEAST_NAME and f" {n} " in self.line for n in self.names], dtype=bool)
        self._links = np.where(self._owned > 0, 0, self._links)  # a document that has a name means itself by it

    def _read_places(self, spoken: Sequence[Mapping[str, float]]) -> None:
        """Find the sentences that hold each name: for each (candidate, name) the numbers of its sentences."""
        at: list[tuple[int, ...]] = []
        for candidate, names in zip(self.candidates, spoken, strict=True):
            known = candidate.says_at
            at += [known[name] if name in known else candidate.sentences_with(name) for name in names]
        lengths = np.fromiter(map(len, at), dtype=np.int64, count=len(at))
        flat = np.fromiter(chain.from_iterable(at), dtype=np.int64, count=int(lengths.sum()))
        self._pair_begins = np.cumsum(lengths) - lengths
        self._names_at = np.repeat(self._pairs[:, 1], lengths)
        self._at = flat + np.repeat(self._begins[self._pairs[:, 0]], lengths)

    def _spoken_names(self) -> list[dict[str, float]]:
        """The names in each candidate's text: its stored names, and long names of other candidates in any letter case.

        A seed is searched for the long names of all candidates, another candidate for those of the seeds.
        """
        long_names = [
            [name for name in candidate.names.own if " " in name and not is_address(name)]
            for candidate in self.candidates
        ]
        names = list(dict.fromkeys(chain.from_iterable(long_names)))  # names of seeds come first
        of_seeds = len(set(chain.from_iterable(long_names[: self.seeds])))
        matcher = AhoCorasick([f" {name} " for name in names]) if names else None
        spoken = []
        for number, candidate in enumerate(self.candidates):
            matches = matcher.find_matches_as_indexes(candidate.joined, overlapping=True) if matcher else []
            last = len(names) if number < self.seeds else of_seeds
            mentioned = {names[match[0]]: 1.0 for match in matches if match[0] < last}
            spoken.append({**candidate.names.say, **mentioned})
        return spoken

    def own(self) -> np.ndarray:
        """The features of each candidate, (n, len(OWN))."""
        coverage = self.covered @ self.idf / self._all_idf
        with_title = self._best_sentence((self._sentence_terms | self._titles[self._owners]) @ self.idf) / self._all_idf
        text = self._best_sentence(self._sentence_terms @ self.idf) / self._all_idf
        certainty, share = self.named
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
            "named": certainty,
            "named_share": share,
            "named_whole": certainty * share,
            "title_coverage": self._titles.sum(axis=1) / self._title_length,
            "walk": walk,
            "walk_log": np.log(walk + 1e-4) / 9,
            "dense_rank": _one_over_rank(self._cosine),
            "words_rank": _one_over_rank(self._bm25),
            "is_first": (self.first_search == self.first_search.max()).astype(np.float32),
        }
        return np.stack([columns[name] for name in OWN], axis=1).astype(np.float32)

    def _walk(self) -> np.ndarray:
        start = np.exp((self.first_search - self.first_search.max()) / _SHARPNESS)
        start[np.argsort(-start, kind="stable")[_WALK_SEEDS:]] = 0
        start /= start.sum()
        link = np.minimum(self._links @ self._owned.T, 1)
        shared = self._shares * ~self.is_asked
        step = 0.6 * (link + 0.5 * link.T) + 0.4 * (1 - np.exp(-shared @ shared.T))
        np.fill_diagonal(step, 0)
        step /= np.maximum(step.sum(axis=0, keepdims=True), TINY)
        at = start
        for _ in range(_WALK_ROUNDS):
            at = 0.5 * start + 0.5 * (step @ at)
        return np.asarray(at)

    def pair(self) -> np.ndarray:
        """The features of each pair, (s, n, len(PAIR)); zero for a candidate with itself."""
        s = self.seeds
        open_idf = ~self.covered[:s] * self.idf
        by_name = self._coverage_at_names()
        shared = self._shared(np.ones(1, dtype=np.float32))
        link = np.minimum((self._links[:s] * np.where(self.is_asked, 0.3, 1)) @ self._owned.T, 1)
        back = np.minimum(self._owned[:s] @ self._links.T, 1)
        residual = open_idf @ self._frequency.T / self._all_idf
        left = open_idf @ self.covered.T
        at_name, through = self._residual_at_names(open_idf, 0.1 + by_name[:s])
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
            "residual_share": left / np.maximum(open_idf.sum(axis=1, keepdims=True), TINY),
            "residual_sentence": self._best_sentence(self._sentence_terms @ open_idf.T).T / self._all_idf,
            "residual_at_name": at_name,
            "through_name": through,
            "joint_coverage": ((self.covered[:s] @ self.idf)[:, None] + left) / self._all_idf,
            **self._cosines(),
            "same_title": (titles[:s, None] == titles[None]).astype(np.float32),
            "connection": connection,
            "connected_residual": connection * residual,
            "connected_at_name": connection * at_name,
        }
        features = np.stack([columns[name] for name in PAIR], axis=2).astype(np.float32)
        features[np.arange(s), np.arange(s)] = 0
        return features

    def connection(self, seed: int, other: int) -> tuple[str, str]:
        """How one candidate leads to another: `how` and `via` of a `PathStep`."""
        ways = {
            "names": self._links[seed] * self._owned[other],
            "named_by": self._owned[seed] * self._links[other],
            "shares": self._shares[seed] * self._shares[other] * ~self.is_asked,
        }
        for how, strength in ways.items():
            if strength.size and strength.max() > 0:
                name = self.names[int(strength.argmax())]
                return (_BY_LINK[how], readable_address(name)) if is_address(name) else (how, name)
        return "continues", ""

    def _shared(self, worth: np.ndarray) -> np.ndarray:
        """How much each seed shares with each candidate, (s, n); `worth` weighs each mention."""
        worths = np.broadcast_to(worth, self._shares.shape) * self._shares * ~self.is_asked
        return np.asarray(1 - np.exp(-worths[: self.seeds] @ worths.T))

    def _coverage_at_names(self) -> np.ndarray:
        """Coverage of the question by the best sentence with each name, without the name's own terms, (n, m)."""
        covered = np.zeros(self._shares.shape, dtype=np.float32)
        if len(self._pairs):
            best = np.maximum.reduceat(self._beside_names @ self.idf, self._pair_begins)
            covered[self._pairs[:, 0], self._pairs[:, 1]] = best / self._all_idf
        return covered

    def _residual_at_names(self, open_idf: np.ndarray, at_seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coverage, by the candidate's sentence with the connecting name, of the terms that the seed leaves open.

        (s, n) each. The second result weighs each name by `at_seed` (s, m), the coverage of the seed's sentence.
        """
        s = self.seeds
        residual, through = (np.zeros((len(self.candidates), s), dtype=np.float32) for _ in range(2))
        if len(self._pairs):
            best = np.maximum.reduceat(self._beside_names @ open_idf.T, self._pair_begins, axis=0) / self._all_idf
            owner, name = self._pairs.T
            shares = self._shares * ~self.is_asked
            by_sharing = (shares[:s] > 0).T[name] * shares[owner, name][:, None]
            by_speaking = self._owned[:s].T[name] * self._links[owner, name][:, None]
            counted = np.maximum(by_sharing, by_speaking) * best
            owners, begins = np.unique(owner, return_index=True)  # a candidate's pairs lie together
            residual[owners] = np.maximum.reduceat(counted, begins)
            through[owners] = np.maximum.reduceat(counted * at_seed.T[name], begins)
        return residual.T, through.T

    def _cosines(self) -> dict[str, np.ndarray]:
        """Cosines between the vectors of question, seed and candidate, (s, n) each."""
        s = self.seeds
        both = self._vectors[:s] @ self._vectors.T
        seed, other = self._cosine[:s, None], self._cosine[None]
        in_plane = (seed**2 + other**2 - 2 * seed * other * both) / np.maximum(1 - both**2, 0.05)
        return {
            "cosine": both,
            "cosine_left": (other - seed * both) / np.sqrt(np.maximum(1 - seed**2, 0.01)),
            "cosine_sum": (seed + other) / np.sqrt(np.maximum(2 + 2 * both, 0.01)),
            "cosine_span": np.sqrt(np.clip(in_plane, 0, 1)),
        }

    @cached_property
    def _beside_names(self) -> np.ndarray:
        """The terms of each sentence with a name, without the name's own terms; a row for each (pair, sentence)."""
        of_names = np.zeros((len(self.names), len(self.terms)), dtype=bool)
        for number, name in enumerate(self.names):
            for term in _stems(name):
                place = self._place.get(term)
                if place is not None:
                    of_names[number, place] = True
        return np.asarray((self._sentence_terms[self._at] & ~of_names[self._names_at]).astype(np.float32))


@lru_cache(maxsize=1 << 16)
def _stems(name: str) -> tuple[str, ...]:
    return tuple(map(stem, name.split()))


def _one_over_rank(scores: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(scores), dtype=np.float32)
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return 1 / ranks
