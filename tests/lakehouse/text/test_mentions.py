"""Names are found by their shape, and matched as wholes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.text.mentions import (
    MAX_NAME_WORDS,
    MAX_NAMES,
    is_mentioned,
    longest_mentioned,
    names_in,
    quote_of,
    set_side_by_side,
    without,
)

TEXTS = st.text(st.sampled_from("aB c.,:-*\n`[](1é许"), max_size=80)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("needs these: Jinja2, click and Werkzeug.", ["Jinja2", "click", "Werkzeug"]),
        ("- click\n- typing-extensions\n", ["click", "typing-extensions"]),
        ("run `rich-toolkit` or see [httpx](https://x.org)", ["rich-toolkit", "httpx"]),
        ("was written by Gotthold Lessing in the Duchy of Brunswick", ["Gotthold Lessing", "Duchy of Brunswick"]),
        ("nothing here", []),
        ("", []),
    ],
)
def test_names_are_found_by_their_shape(text, names):
    assert names_in(text) == names


def test_a_name_is_given_once_where_it_first_stands():
    assert names_in("by Lessing, of Kamenz, for Lessing") == ["Lessing", "Kamenz"]


@given(TEXTS)
def test_whatever_the_text_names_are_few_short_and_in_it(text):
    names = names_in(text)

    assert len(names) == len(set(names)) <= MAX_NAMES
    assert all(name in text and name == name.strip() and len(name.split()) <= MAX_NAME_WORDS for name in names)


def test_a_table_of_contents_gives_no_more_than_the_limit():
    assert len(names_in("\n".join(f"- name{i}" for i in range(1000)))) == MAX_NAMES


@pytest.mark.parametrize(
    ("name", "text", "mentioned"),
    [
        ("rich", "uses rich-toolkit", False),
        ("rich-toolkit", "uses rich-toolkit", True),
        ("rich", "uses enriched text", False),
        ("numpy", "needs numpy.", True),
        ("numpy", "calls numpy.array", False),
        ("NumPy", "needs numpy, and more", True),
        ("a.b", "axb", False),
        ("c++", "written in C++", True),
    ],
)
def test_a_name_is_mentioned_as_a_whole_or_not_at_all(name, text, mentioned):
    assert is_mentioned(name, text) is mentioned


def test_a_question_without_a_name_is_what_it_asks_of_it():
    assert without("Flask", "Which license has Flask, and flask's author?") == "Which license has , and 's author?"


def test_the_longest_name_wins_and_the_first_of_equals():
    assert longest_mentioned(["rich", "rich-toolkit"], "uses rich and rich-toolkit") == "rich-toolkit"
    assert longest_mentioned(["httpx", "click"], "click, httpx") == "httpx"
    assert longest_mentioned(["httpx"], "nothing") is None


@pytest.mark.parametrize(
    ("span", "quote"),
    [
        ("BSD-3-Clause", "BSD-3-Clause"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("three  maintainers", "three\nmaintainers"),
        ("许可证", "许可证"),
        ("MIT", ""),
        ("", ""),
        (".*", ""),
    ],
)
def test_a_quote_is_the_span_as_it_stands(span, quote):
    assert quote_of(span, "It has BSD-3-Clause, three\nmaintainers and a 许可证.") == quote


@pytest.mark.parametrize(
    ("span", "text", "quote"),
    [
        ("orhan karatepe", "İlk İkon İnönü: Orhan Karatepe olarak", "Orhan Karatepe"),
        ("Núñez", "Señor Nu\u0301n\u0303ez kam.", "Nu\u0301n\u0303ez"),
        ("max_idle", "Set max\\_idle to 4.", "max\\_idle"),
        ("configuration file", "the con\ufb01gu\u00adration file", "con\ufb01gu\u00adration file"),
    ],
)
def test_a_quote_is_as_written_however_the_span_is_written(span, text, quote):
    assert quote_of(span, text) == quote


def test_a_name_is_mentioned_however_it_is_written():
    assert is_mentioned("Núñez", "fragt Herrn Nu\u0301n\u0303ez.")
    assert is_mentioned("領収書", "領収書が必要です")
    assert without("Núñez", "Wer ist Nu\u0301n\u0303ez?") == "Wer ist ?"


@given(TEXTS, TEXTS)
def test_a_quote_always_stands_in_the_text(span, text):
    assert quote_of(span, text) in text


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("Is the Oder or the Warta longer?", ["Oder", "Warta"]),
        ("Are both rivers, the Warta and Oder mouth, in Poland?", ["Warta", "Oder mouth"]),
        ("Which of Oder, Warta, and Neisse is longest?", ["Oder", "Warta", "Neisse"]),
        ("Which tributary of the Oder is the Warta?", []),
        ("The Oder is long. And the Warta?", []),
        ("Where does the Oder end, and what else is known of the Warta?", []),
        ("How long is the Oder?", []),
        ("", []),
    ],
)
def test_names_stand_side_by_side_where_few_words_join_them(text, beside):
    assert set_side_by_side(["Oder", "Warta", "Oder mouth", "Neisse", "Oder"], text) == beside


def test_a_short_quote_is_no_part_of_a_longer_word():
    assert quote_of("3", "In 2013 it had 3 maps.") == "3"
    assert quote_of("no", "It is known.") == ""
