"""Spellings that a typed word may stand for."""

import pytest

from lakehouse.text.spelling import likely_spellings, possible_spellings


@pytest.mark.parametrize(("typed", "meant"), [("travle", "travel"), ("comittee", "committee"), ("runing", "running")])
def test_exchanged_and_doubled_letters_are_likely(typed: str, meant: str) -> None:
    assert meant in likely_spellings(typed)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("schma", "schema"), ("partiton", "partition"), ("serarch", "search"), ("seperately", "separately")],
)
def test_other_slips_are_possible(typed: str, meant: str) -> None:
    assert meant in possible_spellings(typed)


def test_a_short_word_is_not_taken_for_another_word_of_its_length() -> None:
    assert not {word for word in possible_spellings("cake") if len(word) == len("cake")}


def test_no_spelling_is_the_word_itself() -> None:
    assert "collection" not in (*likely_spellings("collection"), *possible_spellings("collection"))
