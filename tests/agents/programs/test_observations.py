"""However much was seen, what a model is shown of it stays small, and nothing in it is invented."""

from agents.programs.observations import (
    EVIDENCE_CHARACTERS,
    NEWEST,
    NEWEST_CHARACTERS,
    OLDER,
    SENTENCE_CHARACTERS,
    Notebook,
)
from agents.tools.contract import Observation
from tests.agents.conftest import CLICK, FLASK, JINJA


def seen(text, *passages, **more):
    return Observation("search", text, passages=passages, **more)


def test_the_newest_are_shown_as_they_came_and_older_ones_by_their_closest_sentence():
    notes = Notebook("Who approves travel?")
    notes.add("search", seen("The canteen opens at noon. Travel is approved by Mia. Soup costs 3."))
    notes.add("sql", seen('{"n": 3}'))
    notes.add("search", seen("Mia left in May."))

    assert notes.lines() == [
        "search said: Travel is approved by Mia.",
        'sql said: {"n": 3}',
        "search said: Mia left in May.",
    ]


def test_a_hundred_long_observations_stay_bounded():
    notes = Notebook("Who approves travel?")
    for number in range(100):
        notes.add("fetch", seen(f"{number} travel " * 5_000))

    shown = "".join(notes.lines())
    assert notes.lines()[0] == f"{100 - NEWEST - OLDER} earlier steps"
    assert len(shown) < NEWEST * NEWEST_CHARACTERS + OLDER * SENTENCE_CHARACTERS + 300
    assert len(notes.evidence()) == EVIDENCE_CHARACTERS


def test_evidence_is_what_went_well_and_said_something_each_once():
    notes = Notebook("?")
    notes.add("search", seen("Flask: …", FLASK, JINJA))
    notes.add("search", seen("Nothing found.", empty=True))
    notes.add("python", seen("python: no result", ok=False))
    notes.add("search", seen("Flask: …", FLASK, JINJA))
    notes.add("search", seen("Click: …", CLICK))

    assert notes.evidence() == f"{CLICK.text}\n\n{FLASK.text}\n\n{JINJA.text}"
    assert notes.passages() == [FLASK, JINJA, CLICK]


def test_the_best_without_a_model_is_a_sentence_and_where_it_stands():
    notes = Notebook("Which license has Flask?")
    notes.add("search", seen("…", CLICK, FLASK))

    sentence, [citation] = notes.best()

    assert (sentence, citation.doc_id, citation.quote) == (FLASK.text, "Flask", FLASK.text)
