"""However many observations there are, the prompt stays small and holds nothing invented."""

from agents.programs.observations import (
    EVIDENCE_CHARACTERS,
    NEWEST,
    NEWEST_CHARACTERS,
    OLDER,
    SENTENCE_CHARACTERS,
    Observations,
)
from agents.tools.contract import Observation
from tests.agents.conftest import CLICK, FLASK, JINJA


def seen(text, *passages, **more):
    return Observation("search", text, passages=passages, **more)


def test_the_newest_are_shown_as_they_came_and_older_ones_by_their_closest_sentence():
    observations = Observations("Who approves travel?")
    observations.add("search", seen("The canteen opens at noon. Travel is approved by Mia. Soup costs 3."))
    observations.add("sql", seen('{"n": 3}'))
    observations.add("search", seen("Mia left in May."))

    assert observations.lines() == [
        "search said: Travel is approved by Mia.",
        'sql said: {"n": 3}',
        "search said: Mia left in May.",
    ]


def test_a_hundred_long_observations_stay_bounded():
    observations = Observations("Who approves travel?")
    for number in range(100):
        observations.add("fetch", seen(f"{number} travel " * 5_000))

    prompt = "".join(observations.lines())
    assert observations.lines()[0] == f"{100 - NEWEST - OLDER} earlier steps"
    assert len(prompt) < NEWEST * NEWEST_CHARACTERS + OLDER * SENTENCE_CHARACTERS + 300
    assert len(observations.evidence()) == EVIDENCE_CHARACTERS


def test_evidence_is_what_went_well_and_said_something_each_once():
    observations = Observations("?")
    observations.add("search", seen("Flask: …", FLASK, JINJA))
    observations.add("search", seen("Nothing found.", empty=True))
    observations.add("python", seen("python: no result", ok=False))
    observations.add("search", seen("Flask: …", FLASK, JINJA))
    observations.add("search", seen("Click: …", CLICK))

    assert observations.evidence() == f"{CLICK.text}\n\n{FLASK.text}\n\n{JINJA.text}"
    assert observations.passages() == [FLASK, JINJA, CLICK]


def test_the_best_without_a_model_is_a_sentence_and_where_it_stands():
    observations = Observations("Which license has Flask?")
    observations.add("search", seen("…", CLICK, FLASK))

    sentence, [citation] = observations.best()

    assert (sentence, citation.doc_id, citation.quote) == (FLASK.text, "Flask", FLASK.text)
