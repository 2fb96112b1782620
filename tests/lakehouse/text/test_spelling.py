"""Spellings that a typed word may stand for."""

import pytest

from lakehouse.text.spelling import spellings


@pytest.mark.parametrize(
    ("typed", "meant", "group"),
    [
        ("travle", "travel", 0),  # exchanged
        ("comittee", "committee", 0),  # once in place of twice
        ("seperately", "separately", 0),  # a vowel by ear
        ("partiton", "partition", 1),  # a letter missing
        ("serarch", "search", 0),  # one too many
        ("occurance", "occurrence", 2),  # two slips
    ],
)
def test_a_slip_of_typing_is_undone(typed, meant, group):
    groups = list(spellings(typed))

    assert meant in groups[group]
    assert not any(typed in spellings_of_group for spellings_of_group in groups)


def test_a_short_word_is_searched_at_one_slip():
    assert len(list(spellings("indxe"))) == 2
