"""Words without a server's help: who is found, who stays hidden, and how two rankings become one."""

import pytest

from lakehouse.access.permissions import acl_key
from lakehouse.index.lexical import LexicalIndex, fuse, ties_by_words

ENG, HR = acl_key(["eng"]), acl_key(["hr"])


def test_the_first_of_one_ranking_beats_what_both_have_late():
    by_vector, by_words = ["first", "x1", "x2", "both"], ["second", "y1", "y2", "both"]

    assert fuse([by_vector, by_words], 3) == [("first", 1 / 2), ("second", 1 / 2), ("both", 1 / 5 + 1 / 5)]


def test_of_equal_scores_the_passage_with_the_rarest_words_asked_for_comes_first():
    texts = ["what an error means", "err 4003 pump dry", "what an error means again"]

    assert ties_by_words("what does err 4003 mean", [0.5, 0.5, 0.4], texts) == [1, 0, 2]


def test_words_decide_between_equal_scores_only():
    assert ties_by_words("zebra", [0.5, 0.4, 0.4], ["gnu", "gnu", "zebra"]) == [0, 2, 1]


def test_forbidden_words_neither_return_nor_push_out_allowed_ones():
    rows = [(f"secret{n}", HR, "zebra zebra zebra") for n in range(50)] + [("open", ENG, "a zebra and other animals")]

    found = LexicalIndex(rows).search("zebra", [ENG], limit=5)

    assert [chunk_id for chunk_id, _ in found] == ["open"]


@pytest.mark.parametrize(
    ("rows", "query"), [([], "zebra"), ([("c", ENG, "the ...")], "zebra"), ([("c", ENG, "x")], "the")]
)
def test_no_words_find_nothing(rows, query):
    assert LexicalIndex(rows).search(query, [ENG], limit=5) == []
