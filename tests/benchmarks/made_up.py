"""Questions made up from a corpus, with no model: what they need is known, and there are as many as one likes.

A made-up question follows names from passage to passage, as people's questions do: it names or describes a passage,
goes on with words that stand near the name of the next one there, and ends with words near what that one could answer.
Some words are exchanged for others of like meaning, or left out, for people don't ask in a passage's own words. A few
need one passage alone, a few compare two that are alike. They aren't sentences: features see words and names, and no
grammar.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from sentence_transformers import SentenceTransformer

from lakehouse.index.embedding import BUNDLED_MODEL, load_embedder, model_folder
from lakehouse.text.names import entities, own_names
from lakehouse.text.terms import is_stopped, key, sentences, words
from tests.benchmarks.pool_index import MemoryIndex, Question

OTHER_WORDS = 1 / 3
"""Share of a question's words that the passage doesn't have, or that are missing."""
_EXCHANGED = 0.7
"""Of these, those that another word stands for."""
_PASSAGES = {1: 0.15, 2: 0.5, 3: 0.25, 4: 0.1}
_NAMED = 0.7
_COMPARED = 0.07
_REVERSED = 0.5
_SURE_NAME = 0.7
_ALIKE = 0.4
"""A cosine of two words' vectors: below it they are no synonyms."""
_NEIGHBOURS = 5
_SEED = 7


class _Link(NamedTuple):
    """A sentence that says the name of another passage, which no third one has."""

    sentence: str
    name: str
    to: int


def made_up(index: MemoryIndex, count: int) -> list[Question]:
    """As many questions over the passages of an index, encoded; the same at each call."""
    maker = _Maker(index, random.Random(_SEED))  # noqa: S311
    made: list[tuple[str, list[int]]] = []
    while len(made) < count:
        text, needed = maker.question()
        if text:
            made.append((text, needed))
    vectors = load_embedder(BUNDLED_MODEL).encode([text for text, _ in made])
    return [
        Question(text, vector, frozenset(needed), len(needed), f"made-up-{number}")
        for number, ((text, needed), vector) in enumerate(zip(made, vectors, strict=True))
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
        """A question's text, and the numbers of the passages that it needs; no text where a passage leads nowhere."""
        start = self._chance.randrange(len(self._rows))
        return self._comparison(start) if self._chance.random() < _COMPARED else self._chain(start)

    def _comparison(self, one: int) -> tuple[str, list[int]]:
        alike = np.argsort(-(self._vectors @ self._vectors[one]))[1 : 1 + _NEIGHBOURS].tolist()
        other = self._chance.choice(alike)
        return " ".join([self._title(one), self._title(other), *self._some_words(other, most=3)]), [one, other]

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
        """Where the last passage leads, but to those seen."""
        text = self._rows[seen[-1]].text
        said = [name for name in entities(text) if len(self._owners.get(name, ())) == 1]
        self._chance.shuffle(said)
        for name in said:
            (to,) = self._owners[name]
            for sentence in sentences(text) if to not in seen else ():
                if f" {name} " in f" {key(sentence)} ":
                    return _Link(sentence, name, to)
        return None

    def _some_words(self, number: int, most: int) -> list[str]:
        """What a passage could answer: words near some name in a sentence of it."""
        sentence = self._chance.choice(sentences(self._rows[number].text))
        names = [name for name in entities(sentence) if name not in self._own[number]]
        return self._near(sentence, self._chance.choice(names) if names else "", number, most)

    def _near(self, sentence: str, name: str, number: int, most: int) -> list[str]:
        """Up to so many words of a passage's sentence, the likelier the nearer to a name, which is left out."""
        found, named = words(sentence), name.split()
        at = _place(found, named)
        left_out = set(words(self._rows[number].title))
        distances = {
            place: max(at - place, place - at - len(named) + 1, 0) if named else 0
            for place, word in enumerate(found)
            if not (at <= place < at + len(named)) and len(word) > 1 and not is_stopped(word) and word not in left_out
        }
        chosen = []
        for _ in range(min(self._chance.randint(1, most), len(distances))):
            (place,) = self._chance.choices(list(distances), [1 / (1 + away) for away in distances.values()])
            chosen.append(place)
            del distances[place]
        return [word for place in sorted(chosen) for word in self._in_other_words(found[place])]

    def _in_other_words(self, word: str) -> Collection[str]:
        if self._chance.random() >= OTHER_WORDS:
            return [word]
        others = _word_pieces().like(word)
        return [self._chance.choice(others)] if others and self._chance.random() < _EXCHANGED else []

    def _title(self, number: int) -> str:
        return self._rows[number].title.split(" (")[0]


def _place(found: Sequence[str], named: Sequence[str]) -> int:
    """Where the words of a name begin; 0 for none."""
    places = range(len(found) - len(named) + 1)
    return next((place for place in places if list(found[place : place + len(named)]) == list(named)), 0)


class _WordPieces:
    """The encoder's table of word pieces: which whole words have vectors alike."""

    def __init__(self) -> None:
        model = SentenceTransformer(str(model_folder(BUNDLED_MODEL)), device="cpu", local_files_only=True)
        vocabulary = {word: piece for word, piece in model.tokenizer.get_vocab().items() if word.isalpha()}
        table = model[0].auto_model.get_input_embeddings().weight.detach().numpy()[list(vocabulary.values())]
        self._words = list(vocabulary)
        self._numbers = {word: number for number, word in enumerate(self._words)}
        self._table = table / np.linalg.norm(table, axis=1, keepdims=True)

    def like(self, word: str) -> list[str]:
        if word not in self._numbers:
            return []
        alike = self._table @ self._table[self._numbers[word]]
        nearest = np.argsort(-alike)[1 : 1 + _NEIGHBOURS]
        return [self._words[number] for number in nearest if alike[number] > _ALIKE]


@cache
def _word_pieces() -> _WordPieces:
    return _WordPieces()
