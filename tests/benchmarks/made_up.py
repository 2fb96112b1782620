"""Questions made up from a corpus without a model, in any number; the passages that each needs are known.

A made-up question follows names from passage to passage, as people's questions do: it names or describes a passage,
then has words that stand near the next passage's name, and ends with words near a possible answer. Some words are
replaced by words of similar meaning, or left out, because people do not ask in a passage's own words. A few questions
need one passage, a few compare two similar ones. They are not sentences: features see words and names, not grammar.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from sentence_transformers import SentenceTransformer

from lakehouse.index.embedding import BUNDLED_MODEL, load_embedder, model_folder
from lakehouse.text.names import own_names, spoken_names
from lakehouse.text.search_text import words
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import is_stopped, key
from tests.benchmarks.pool_index import MemoryIndex, PoolQuestion

OTHER_WORDS = 1 / 3
"""Share of a question's words that are replaced by words from outside the passage, or left out."""
_EXCHANGED = 0.7
"""Share of these that are replaced."""
_PASSAGES = {1: 0.15, 2: 0.5, 3: 0.25, 4: 0.1}
_NAMED = 0.7
_COMPARED = 0.07
_REVERSED = 0.5
_SURE_NAME = 0.7
_SIMILAR = 0.4
"""Two words whose vectors have a lower cosine are no synonyms."""
_NEIGHBOURS = 5
_SEED = 7


class _Link(NamedTuple):
    """A sentence with a name that belongs to one other passage alone, number `to`."""

    sentence: str
    name: str
    to: int


def made_up(index: MemoryIndex, count: int) -> list[PoolQuestion]:
    """`count` questions over the passages of an index, encoded; the same at each call."""
    maker = _Maker(index, random.Random(_SEED))  # noqa: S311
    texts_and_needs: list[tuple[str, list[int]]] = []
    while len(texts_and_needs) < count:
        text, needed = maker.question()
        if text:
            texts_and_needs.append((text, needed))
    vectors = load_embedder(BUNDLED_MODEL).encode([text for text, _ in texts_and_needs])
    return [
        PoolQuestion(text, vector, frozenset(needed), len(needed), f"made-up-{number}")
        for number, ((text, needed), vector) in enumerate(zip(texts_and_needs, vectors, strict=True))
    ]


class _Maker:
    def __init__(self, index: MemoryIndex, chance: random.Random) -> None:
        self._rows, self._vectors, self._chance = index.rows, index.vectors, chance
        self._own = [
            {name for name, sure in own_names(row.title, row.heading, row.text).items() if sure >= _SURE_NAME}
            for row in index.rows
        ]
        self._owners: dict[str, list[int]] = defaultdict(list)
        for number, names in enumerate(self._own):
            for name in names:
                self._owners[name].append(number)

    def question(self) -> tuple[str, list[int]]:
        """A question's text and the numbers of the passages that it needs; "" where a passage leads nowhere."""
        start = self._chance.randrange(len(self._rows))
        return self._comparison(start) if self._chance.random() < _COMPARED else self._chain(start)

    def _comparison(self, first: int) -> tuple[str, list[int]]:
        similar = np.argsort(-(self._vectors @ self._vectors[first]))[1 : 1 + _NEIGHBOURS].tolist()
        second = self._chance.choice(similar)
        return " ".join([self._title(first), self._title(second), *self._some_words(second, most=3)]), [first, second]

    def _chain(self, start: int) -> tuple[str, list[int]]:
        begins = sentences(self._rows[start].text)[0]
        parts = [self._title(start)] if self._chance.random() < _NAMED else self._near(begins, "", start, most=3)
        needed = [start]
        (wanted,) = self._chance.choices(list(_PASSAGES), list(_PASSAGES.values()))
        while len(needed) < wanted and (link := self._link(needed)):
            parts += self._near(link.sentence, link.name, needed[-1], most=2)
            needed.append(link.to)
        asked = self._some_words(needed[-1], most=3)
        if not asked or len(needed) < min(wanted, 2):
            return "", []
        parts += asked
        return " ".join(parts[::-1] if self._chance.random() < _REVERSED else parts), needed

    def _link(self, seen: Sequence[int]) -> _Link | None:
        """A link from the last passage to one not seen yet; None without any."""
        text = self._rows[seen[-1]].text
        names = [name for name in spoken_names(text) if len(self._owners.get(name, ())) == 1]
        self._chance.shuffle(names)
        for name in names:
            (to,) = self._owners[name]
            for sentence in sentences(text) if to not in seen else ():
                if f" {name} " in f" {key(sentence)} ":
                    return _Link(sentence, name, to)
        return None

    def _some_words(self, number: int, most: int) -> list[str]:
        """Words near a name in one of the passage's sentences, as of a question that the name answers."""
        sentence = self._chance.choice(sentences(self._rows[number].text))
        names = [name for name in spoken_names(sentence) if name not in self._own[number]]
        return self._near(sentence, self._chance.choice(names) if names else "", number, most)

    def _near(self, sentence: str, name: str, number: int, most: int) -> list[str]:
        """Up to `most` words of a passage's sentence, nearer to the name with more probability, without the name."""
        in_sentence, named = words(sentence), name.split()
        at = _place(in_sentence, named)
        left_out = set(words(self._rows[number].title))
        distances = {
            place: max(at - place, place - at - len(named) + 1, 0) if named else 0
            for place, word in enumerate(in_sentence)
            if not (at <= place < at + len(named)) and len(word) > 1 and not is_stopped(word) and word not in left_out
        }
        chosen = []
        for _ in range(min(self._chance.randint(1, most), len(distances))):
            (place,) = self._chance.choices(list(distances), [1 / (1 + away) for away in distances.values()])
            chosen.append(place)
            del distances[place]
        return [word for place in sorted(chosen) for word in self._in_other_words(in_sentence[place])]

    def _in_other_words(self, word: str) -> Collection[str]:
        if self._chance.random() >= OTHER_WORDS:
            return [word]
        others = _word_pieces().similar_to(word)
        return [self._chance.choice(others)] if others and self._chance.random() < _EXCHANGED else []

    def _title(self, number: int) -> str:
        return self._rows[number].title.split(" (")[0]


def _place(in_sentence: Sequence[str], named: Sequence[str]) -> int:
    """The place at which the words of a name begin; 0 without any."""
    places = range(len(in_sentence) - len(named) + 1)
    return next((place for place in places if list(in_sentence[place : place + len(named)]) == list(named)), 0)


class _WordPieces:
    """The encoder's vectors of whole words, for words of similar meaning."""

    def __init__(self) -> None:
        model = SentenceTransformer(str(model_folder(BUNDLED_MODEL)), device="cpu", local_files_only=True)
        vocabulary = {word: piece for word, piece in model.tokenizer.get_vocab().items() if word.isalpha()}
        table = model[0].auto_model.get_input_embeddings().weight.detach().numpy()[list(vocabulary.values())]
        self._words = list(vocabulary)
        self._numbers = {word: number for number, word in enumerate(self._words)}
        self._table = table / np.linalg.norm(table, axis=1, keepdims=True)

    def similar_to(self, word: str) -> list[str]:
        """The nearest words, at most _NEIGHBOURS; none for a word without a vector of its own."""
        if word not in self._numbers:
            return []
        cosines = self._table @ self._table[self._numbers[word]]
        nearest = np.argsort(-cosines)[1 : 1 + _NEIGHBOURS]
        return [self._words[number] for number in nearest if cosines[number] > _SIMILAR]


@cache
def _word_pieces() -> _WordPieces:
    return _WordPieces()
