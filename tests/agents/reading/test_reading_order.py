"""Which passage is read next: by what the question names, what that passage names, and how many facts are needed."""

from dataclasses import replace

import pytest

from agents.reading.reading_order import NEEDED, PERHAPS, Trail, cite
from tests.agents.conftest import passage

ODER = passage("Oder", "The Oder has 2 large tributaries: Warta, Neisse. Breslau lies on it.")
ODER_MOUTH = passage("Oder mouth", "Here the river meets the sea.")
WARTA = passage("Warta", "The Warta is 808 km long.")
NEISSE = passage("Neisse", "The Neisse is 254 km long.")
BRESLAU = passage("Breslau", "Breslau has a university.")
RHINE = passage("Rhine", "The Rhine is longer.")


def read_with(trail, facts):
    """Titles of the passages read, noting a fact where `facts` has one."""
    titles = []
    for one in trail.passages_to_read():
        titles.append(one.title)
        if one.title in facts:
            trail.facts.append((one, facts[one.title]))
    return titles


def test_it_begins_with_the_longest_title_that_the_question_names():
    trail = Trail("Where is the Oder mouth?", [RHINE, ODER, ODER_MOUTH])
    assert trail.start == ODER_MOUTH
    assert trail.named == ["Oder mouth"]
    assert trail.missing == "Where is the ?"


def test_of_several_passages_of_that_document_one_that_leads_on_comes_first():
    preface = passage("Oder", "A preface.")
    assert Trail("What of the Oder?", [preface, ODER, WARTA]).start == ODER


def test_a_question_that_names_nothing_begins_with_the_best_found():
    trail = Trail("Which river is longest?", [WARTA, RHINE])
    assert (trail.start, trail.named, trail.missing) == (WARTA, [], "Which river is longest?")


def test_names_to_look_up_begin_with_what_the_rest_of_the_question_found():
    trail = Trail("Which tributary of the Oder is 254 km long?", [ODER])
    assert trail.names_to_look_up([NEISSE, RHINE])[:3] == ["Neisse", "The Oder", "Warta"]


def test_one_fact_is_enough_when_one_is_needed():
    trail = Trail("Which tributary of the Oder is long?", [ODER])
    trail.follow([NEISSE, WARTA], needed=1)
    assert read_with(trail, {"Neisse": "254 km", "Warta": "808 km"}) == ["Neisse"]


def test_a_passage_that_holds_nothing_is_passed_over():
    trail = Trail("Which tributary of the Oder is long?", [ODER])
    trail.follow([BRESLAU, NEISSE, WARTA], needed=1)
    assert read_with(trail, {"Neisse": "254 km", "Warta": "808 km"}) == ["Breslau", "Neisse"]


def test_when_several_are_needed_those_that_one_sentence_names_come_first():
    trail = Trail("How long are the two tributaries of the Oder?", [ODER])
    trail.follow([BRESLAU, WARTA, NEISSE], needed=2)
    assert read_with(trail, {"Warta": "808 km", "Neisse": "254 km"}) == ["Warta", "Neisse"]


def test_names_without_documents_leave_the_first_passage_to_read():
    trail = Trail("What of the Oder?", [ODER, RHINE])
    trail.follow([], needed=2)
    assert read_with(trail, {"Oder": "2"}) == ["Oder"]


def test_reading_ends_though_nothing_holds_a_fact():
    trail = Trail("What of the Oder?", [ODER] * 20)
    assert len(read_with(trail, {})) == 3


def test_nothing_found_leaves_nothing_to_do():
    trail = Trail("What of the Oder?", [])
    trail.follow([], needed=1)
    assert (trail.start, trail.names_to_look_up([]), read_with(trail, {}), trail.citations()) == (None, [], [], [])


@pytest.mark.parametrize(("fact", "quotes"), [("808  KM", ["808 km"]), ("809 km", [])])
def test_a_citation_quotes_what_stands_there_or_is_not_made(fact, quotes):
    assert [citation.quote for citation in cite("", (fact, [RHINE, WARTA]))] == quotes


def test_what_the_question_says_or_wants_a_yes_for_is_cited_by_what_it_was_told_from():
    question = "Is the Warta or the Neisse longer?"
    told = [("Warta", "The Warta is 808 km long."), ("Neisse", "The Neisse is 254 km long.")]
    assert [(one.doc_id, one.quote) for one in cite(question, ("Warta", [WARTA, NEISSE]))] == [
        *told,
        ("Warta", "Warta"),
    ]
    assert [(one.doc_id, one.quote) for one in cite("Are Warta and Neisse rivers?", ("yes", [WARTA, NEISSE]))] == told
    assert [one.doc_id for one in cite("Are they rivers?", ("no", [WARTA, NEISSE]))] == ["Warta"]


def test_documents_that_the_question_sets_side_by_side_are_compared():
    other = passage("Oder (ship)", "A ship.")
    assert Trail("Is the Neisse or the Oder longer?", [RHINE, ODER, NEISSE, other]).compared == [NEISSE, ODER]
    assert Trail("Is the Oder or the Elbe longer?", [RHINE, ODER, NEISSE]).compared == []


def likely(one, probability):
    return replace(one, probability=probability)


def test_a_chain_is_of_what_may_belong_to_it_where_the_search_is_confident_of_its_beginning():
    mouth = replace(ODER_MOUTH, doc_id="Oder")
    found = [likely(ODER, NEEDED), likely(mouth, 0.2), likely(WARTA, PERHAPS), likely(RHINE, PERHAPS - 0.01)]
    assert Trail("What of it?", found).chain == [found[0], found[2]]
    assert Trail("What of it?", [found[0], found[1], found[3]]).chain == []  # of one document
    assert Trail("What of it?", [likely(ODER, NEEDED - 0.01), likely(WARTA, 0.3)]).chain == []
    assert Trail("What of it?", [ODER, WARTA]).chain == []  # a search that gives no probabilities is sure of nothing
