"""Made-up questions need the passages that they are made of, and leave out the names between them."""

import numpy as np

from lakehouse.text.search_text import words
from tests.benchmarks.made_up import made_up
from tests.benchmarks.pool_index import MemoryIndex, Row

RIVERS = ("Elbe", "Oder", "Rhine", "Seine", "Tagus", "Volga")


def index() -> MemoryIndex:
    """Each bridge's passage names its river; no river's passage names anything."""
    rows = [
        Row(f"{river} Bridge", "", f"A bridge. An engineer built it over the {river} long ago.") for river in RIVERS
    ]
    rows += [Row(river, "", "water flows northwards through meadows.") for river in RIVERS]
    vectors = np.random.default_rng(1).normal(size=(len(rows), 8)).astype(np.float32)
    return MemoryIndex("rivers", rows, vectors, [])


def test_a_question_follows_a_name_which_it_leaves_out() -> None:
    questions = made_up(index(), 60)
    several = [question for question in questions if len(question.gold) > 1]
    chains = [chain for chain in several if {number % len(RIVERS) for number in chain.gold} == {min(chain.gold)}]
    assert len(chains) > 40  # others compare two passages
    assert 0 < len(questions) - len(several) < 25  # or need one alone
    for chain in chains:
        bridge, river = sorted(chain.gold)
        assert river == bridge + len(RIVERS)
        assert RIVERS[bridge].lower() not in words(chain.text.replace(f"{RIVERS[bridge]} Bridge", ""))


def test_some_words_of_a_question_are_not_the_passages() -> None:
    known = {word for row in index().rows for word in words(f"{row.title} {row.text}")}
    asked = [word for question in made_up(index(), 60) for word in words(question.text)]
    assert 0.05 < np.mean([word not in known for word in asked]) < 0.4


def test_the_same_are_made_up_again() -> None:
    first, again = (made_up(index(), 5) for _ in range(2))
    assert [(question.text, question.gold) for question in first] == [
        (question.text, question.gold) for question in again
    ]
    assert first[0].vector.shape == (384,)
