"""Questions made up from passages need what they are made of, and don't give the way away."""

import numpy as np

from lakehouse.text.terms import words
from tests.benchmarks.made_up import made_up
from tests.benchmarks.pool_index import MemoryIndex, Row

RIVERS = ("Elbe", "Oder", "Rhine", "Seine", "Tagus", "Volga")


def index() -> MemoryIndex:
    """A bridge over each river names it; no river's page names anything."""
    rows = [
        Row(f"{river} Bridge", "", f"A bridge. An engineer built it over the {river} long ago.") for river in RIVERS
    ]
    rows += [Row(river, "", "water flows northwards through meadows.") for river in RIVERS]
    vectors = np.random.default_rng(1).normal(size=(len(rows), 8)).astype(np.float32)
    return MemoryIndex("rivers", rows, vectors, [])


def test_a_question_follows_a_name_which_it_leaves_out() -> None:
    questions = made_up(index(), 60)
    several = [one for one in questions if len(one.gold) > 1]
    chains = [one for one in several if {number % len(RIVERS) for number in one.gold} == {min(one.gold)}]
    assert len(chains) > 40  # others compare two passages
    assert 0 < len(questions) - len(several) < 25  # or need one alone
    for one in chains:
        bridge, river = sorted(one.gold)
        assert river == bridge + len(RIVERS)
        assert RIVERS[bridge].lower() not in words(one.text.replace(f"{RIVERS[bridge]} Bridge", ""))


def test_some_words_of_a_question_are_not_the_passages() -> None:
    known = {word for row in index().rows for word in words(f"{row.title} {row.text}")}
    asked = [word for one in made_up(index(), 60) for word in words(one.text)]
    assert 0.05 < np.mean([word not in known for word in asked]) < 0.4


def test_the_same_are_made_up_again() -> None:
    first, again = (made_up(index(), 5) for _ in range(2))
    assert [(one.text, one.gold) for one in first] == [(one.text, one.gold) for one in again]
    assert first[0].vector.shape == (384,)
