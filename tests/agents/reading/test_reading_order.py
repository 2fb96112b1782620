"""The next passage follows from the names in the question and in the first passage, and from the facts needed."""

from dataclasses import replace

from agents.reading.confidence import MAY_BE_NEEDED, NEEDED
from agents.reading.reading_order import ReadingOrder
from tests.agents.conftest import passage

ODER = passage("Oder", "The Oder has 2 large tributaries: Warta, Neisse. Breslau lies on it.")
ODER_MOUTH = passage("Oder mouth", "Here the river meets the sea.")
WARTA = passage("Warta", "The Warta is 808 km long.")
NEISSE = passage("Neisse", "The Neisse is 254 km long.")
BRESLAU = passage("Breslau", "Breslau has a university.")
RHINE = passage("Rhine", "The Rhine is longer.")


def read_with(order, facts):
    """Titles of the passages read; notes the facts of `facts`."""
    titles = []
    for passage_to_read in order.passages_to_read():
        titles.append(passage_to_read.title)
        if passage_to_read.title in facts:
            order.facts.append((passage_to_read, facts[passage_to_read.title]))
    return titles


def test_it_begins_with_the_longest_title_that_the_question_names():
    order = ReadingOrder("Where is the Oder mouth?", [RHINE, ODER, ODER_MOUTH])
    assert order.start == ODER_MOUTH
    assert order.named == ["Oder mouth"]
    assert order.missing == "Where is the ?"


def test_of_several_passages_of_that_document_one_that_leads_on_comes_first():
    preface = passage("Oder", "A preface.")
    assert ReadingOrder("What of the Oder?", [preface, ODER, WARTA]).start == ODER


def test_a_question_that_names_nothing_begins_with_the_best_found():
    order = ReadingOrder("Which river is longest?", [WARTA, RHINE])
    assert (order.start, order.named, order.missing) == (WARTA, [], "Which river is longest?")


def test_names_to_look_up_begin_with_what_the_rest_of_the_question_found():
    order = ReadingOrder("Which tributary of the Oder is 254 km long?", [ODER])
    assert order.names_to_look_up([NEISSE, RHINE])[:3] == ["Neisse", "The Oder", "Warta"]


def test_one_fact_is_enough_when_one_is_needed():
    order = ReadingOrder("Which tributary of the Oder is long?", [ODER])
    order.follow([NEISSE, WARTA], needed=1)
    assert read_with(order, {"Neisse": "254 km", "Warta": "808 km"}) == ["Neisse"]


def test_a_passage_that_holds_nothing_is_passed_over():
    order = ReadingOrder("Which tributary of the Oder is long?", [ODER])
    order.follow([BRESLAU, NEISSE, WARTA], needed=1)
    assert read_with(order, {"Neisse": "254 km", "Warta": "808 km"}) == ["Breslau", "Neisse"]


def test_when_several_are_needed_those_that_one_sentence_names_come_first():
    order = ReadingOrder("How long are the two tributaries of the Oder?", [ODER])
    order.follow([BRESLAU, WARTA, NEISSE], needed=2)
    assert read_with(order, {"Warta": "808 km", "Neisse": "254 km"}) == ["Warta", "Neisse"]


def test_names_without_documents_leave_the_first_passage_to_read():
    order = ReadingOrder("What of the Oder?", [ODER, RHINE])
    order.follow([], needed=2)
    assert read_with(order, {"Oder": "2"}) == ["Oder"]


def test_reading_ends_though_nothing_holds_a_fact():
    order = ReadingOrder("What of the Oder?", [ODER] * 20)
    assert len(read_with(order, {})) == 3


def test_nothing_found_leaves_nothing_to_do():
    order = ReadingOrder("What of the Oder?", [])
    order.follow([], needed=1)
    assert (order.start, order.names_to_look_up([]), read_with(order, {}), order.citations()) == (None, [], [], [])


def test_documents_that_the_question_sets_side_by_side_are_compared():
    other = passage("Oder (ship)", "A ship.")
    assert ReadingOrder("Is the Neisse or the Oder longer?", [RHINE, ODER, NEISSE, other]).compared == [NEISSE, ODER]
    assert ReadingOrder("Is the Oder or the Elbe longer?", [RHINE, ODER, NEISSE]).compared == []


def likely(passage, probability):
    return replace(passage, probability=probability)


def test_a_chain_is_of_what_may_belong_to_it_where_the_search_is_confident_of_its_beginning():
    mouth = replace(ODER_MOUTH, doc_id="Oder")
    found = [
        likely(ODER, NEEDED),
        likely(mouth, 0.2),
        likely(WARTA, MAY_BE_NEEDED),
        likely(RHINE, MAY_BE_NEEDED - 0.01),
    ]
    assert ReadingOrder("What of it?", found).chain == [found[0], found[2]]
    assert ReadingOrder("What of it?", [found[0], found[1], found[3]]).chain == []  # of one document
    assert ReadingOrder("What of it?", [likely(ODER, NEEDED - 0.01), likely(WARTA, 0.3)]).chain == []
    assert (
        ReadingOrder("What of it?", [ODER, WARTA]).chain == []
    )  # a search that gives no probabilities is sure of nothing
