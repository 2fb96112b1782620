"""Identifiers and versions in texts, and how else they are written."""

import time

import pytest

from lakehouse.text.identifiers import identifiers, in_words, versions, with_words


def test_identifiers_are_told_from_words_names_and_addresses() -> None:
    text = "Set pumpHouse.maxStrokes or retry_limit; GitHub, e.g., www.iPump.example/aB and me@aB.example are none."
    assert list(identifiers(text)) == ["pumpHouse.maxStrokes", "retry_limit"]
    assert in_words("pumpHouse.maxHTTPTries2") == "pump House max HTTP Tries 2"


def test_a_version_has_three_numbers_or_a_letter() -> None:
    text = "v2.4 and 2.4.0, V1.2.3; not 0.5, 10.0.0.1, 1.2.3.4.5, abc1.2.3 or v2."
    assert list(versions(text)) == ["2.4", "2.4.0", "1.2.3"]


def test_only_camel_case_needs_its_words_beside_it() -> None:
    assert with_words("the retry_limit of maxStrokes.") == "the retry_limit of maxStrokes max Strokes."


@pytest.mark.parametrize("odd", ["a", "a.", "a_", "a_a@", "aA", "a.a_b", "1.", "v1.1.1.1", "a.bC.", "_"])
def test_odd_texts_take_time_in_proportion(odd: str) -> None:
    text = odd * (200_000 // len(odd)) + "@"
    begun = time.process_time()
    list(identifiers(text))
    list(versions(text))
    with_words(text)
    assert time.process_time() - begun < 2
