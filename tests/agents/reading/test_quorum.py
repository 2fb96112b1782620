"""A single false source is outvoted, copies count once, and disagreement is reported."""

import pytest

from agents.reading.quorum import Vote, decide


def votes(*values):
    return [Vote(value, f"doc{number}", f"text {number}") for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("said", "k", "value", "disagreement"),
    [
        ((), 1, None, ""),
        (("808 km",), 1, "808 km", ""),
        (("808 km",), 2, None, "no quorum: '808 km' says doc0"),
        (("808 km", "808 KM."), 2, "808 km", ""),
        (("9 km", "808 km", "808 km"), 2, "808 km", "'808 km' by 2, but '9 km' says doc0"),
        (("9 km", "808 km"), 1, None, "no quorum: '9 km' says doc0; '808 km' says doc1"),
        (("9 km", "9 km", "808 km", "808 km"), 2, None, "no quorum: '9 km' says doc0, doc1; '808 km' says doc2, doc3"),
    ],
)
def test_a_value_needs_k_votes_and_more_than_any_other(said, k, value, disagreement):
    verdict = decide(votes(*said), k)

    assert (verdict.value, verdict.disagreement) == (value, disagreement)


def test_reading_ends_once_the_lead_is_as_large_as_the_quorum():
    said = votes("9 km", "808 km", "808 km", "808 km")

    assert [decide(said[:read], 2).settled for read in range(5)] == [False, False, False, False, True]
    assert [decide(votes("808 km", "808 km")[:read], 2).settled for read in range(3)] == [False, False, True]


def test_one_source_and_one_text_have_one_vote():
    same_source = [Vote("9 km", "liar", f"text {number}") for number in range(5)]
    same_text = [Vote("9 km", f"copy{number}", "The Warta is 9 km long.") for number in range(5)]

    assert decide(same_source, 2).value is None
    assert decide(same_text, 2).value is None
    assert decide([*same_source, Vote("808 km", "a", "x"), Vote("808 km", "b", "y")], 2).value == "808 km"
