"""Words, stems, sentences and names: what index time and question time must agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.text.names import MAX_HEADINGS, MAX_SPOKEN_NAMES, OF_PART, Names, chunk_headings, own_names, spoken_names
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import key, stem, terms


@pytest.mark.parametrize(
    "alike",
    [("directed", "director", "directing"), ("located", "location"), ("cities", "city"), ("founder", "founded")],
)
def test_words_of_one_family_are_one_term(alike: tuple[str, ...]) -> None:
    assert len({stem(word) for word in alike}) == 1


def test_stop_words_and_question_words_say_nothing() -> None:
    assert terms("What is the name of it?") == []
    assert terms("Which river?") == ["river"]


def test_a_key_ignores_case_accents_and_punctuation() -> None:
    assert key("S. P. L. Sørensen") == key("s p l  sørensen")
    assert key("Café-Müller") == "cafe muller"
    assert key("東京タワー") == "東 京 タ ワ ー"


def test_sentences_are_not_cut_behind_an_initial() -> None:
    assert sentences("J. R. Smith met Dr. Brown. They left.") == ["J. R. Smith met Dr. Brown.", "They left."]


def test_a_document_is_known_by_parts_of_its_title_and_by_the_name_it_begins_with() -> None:
    found = own_names("The Harbour (film)", "", "Harbour Nights Story (1961) is a film.")
    assert found["the harbour film"] == found["the harbour"] == 1
    assert 0 < found["harbour"] < 1
    assert "harbour nights story" in found


@pytest.mark.parametrize("title", ["", "the", "7", "X", "!!!", "who", "a" * 2_000])
def test_a_title_that_is_no_name_does_no_harm(title: str) -> None:
    assert all(len(name) <= 200 for name in own_names(title, title, ""))


def test_names_in_a_text_are_spans_of_capitals_without_a_sentences_first_word() -> None:
    found = spoken_names("In Port Ellis lived Ann of the Marsh. The Ferry left. He stayed.")
    assert found == {"port ellis": 1, "ann of the marsh": 1, "ann": OF_PART, "marsh": OF_PART, "ferry": 1}


def test_a_manual_speaks_of_code_and_is_known_by_its_headings() -> None:
    found = Names.of("Orion manual", "Setup › Replica count", "set `replica_count` to 3 before you start")
    assert set(found.say) == {"replica count", "orion manual"}
    assert found.own == {"orion manual": 1.0, "replica count": 0.7}


def test_a_setting_is_known_by_every_way_of_writing_it() -> None:
    page = Names.of("Pump settings", "", "## `pumpHouse.maxStrokes`\n\nHow often it moves.\n\n```sh\n# No heading\n```")
    for spelling in ("pumpHouse.maxStrokes", "pump house max strokes", "maxStrokes", "max strokes"):
        assert page.own[key(spelling)] >= 0.5, spelling
    assert key("pumpHouse") in page.say
    assert key("no heading") not in page.own

    prose = Names.of("Wear", "", "Seals wear out if maxStrokes or the retry_limit of pump_house.valves is high.")
    assert {"maxstrokes", "max strokes", "retry limit", "pump house", "valves"} <= set(prose.say)
    assert set(terms("the maxStrokes value")) == {"maxstrok", "max", "strok", "valu"}


def test_a_version_is_one_name_with_and_without_its_letter() -> None:
    notes = Names.of("Release notes", "v2.4.0", "Sent on 12.10.")
    assert "2 4 0" in notes.own
    assert {"2 4 0", "1 7"} <= set(spoken_names("Since 2.4.0, and in v1.7, 0.5 seconds at 10.0.0.1 do."))
    assert spoken_names("0.5 seconds at 10.0.0.1 in 2024.") == {}


def test_headings_of_a_chunk_are_bounded() -> None:
    assert len(chunk_headings("Top › Part", "# A heading\n" * 100)) == MAX_HEADINGS


def test_a_list_of_names_is_bounded() -> None:
    assert len(spoken_names(", ".join(f"Name{number}" for number in range(1_000)))) == MAX_SPOKEN_NAMES


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert all(sentence.strip() for sentence in sentences(text))
    assert all(name == key(name) for name in spoken_names(text))
    assert all(terms(text)) or not terms(text)
