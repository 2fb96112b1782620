"""Scoring: the known cases of SQuAD's and HotpotQA's rules."""

import pytest

from lakehouse.text.scoring import exact_match, f1, normalise, recall_at, success, supported


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Cat's pyjamas!", "cats pyjamas"),
        ("An apple, a day", "apple day"),
        ("state-of-the-art", "stateoftheart"),  # punctuation goes first, so no article is left to go
        ("Theatre", "theatre"),
        ("Ångström", "ångström"),
        ("", ""),
    ],
)
def test_normalisation_follows_squad(text: str, normal: str) -> None:
    assert normalise(text) == normal


@pytest.mark.parametrize(
    ("answer", "golds", "expected"),
    [
        ("The BSD-3-Clause.", ["BSD 3 Clause", "bsd3clause"], True),
        ("BSD", ["MIT", "bsd"], True),
        ("It is BSD", ["BSD"], False),
        ("", ["BSD"], False),
    ],
)
def test_exact_match_takes_any_gold_answer(answer: str, golds: list[str], expected: bool) -> None:
    assert exact_match(answer, golds) is expected


@pytest.mark.parametrize(
    ("answer", "golds", "expected"),
    [
        ("the cat sat", ["cat sat down"], 0.8),  # 2 shared, 2 and 3 tokens
        ("cat cat", ["cat"], 2 / 3),  # a repeat counts once
        ("wrong", ["right", "quite wrong"], 2 / 3),
        ("no", ["no"], 1.0),
        ("no one", ["no"], 0.0),  # HotpotQA: yes and no match whole or not at all
        ("yes it is", ["yes"], 0.0),
        ("", ["cat"], 0.0),
        ("the", ["a"], 1.0),  # both are empty after normalisation
        ("cat", [], 0.0),
    ],
)
def test_f1_is_the_best_over_gold_answers(answer: str, golds: list[str], expected: float) -> None:
    assert f1(answer, golds) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "golds", "expected"),
    [
        ("Jinja is published under the BSD license.", ["BSD"], True),
        ("It runs 48 streams", ["8"], False),  # not a whole word
        ("48", ["48 streams", "48"], True),
        ("No.", ["no"], True),
        ("no one", ["no"], False),
        ("by New York, then", ["new york"], True),
        ("anything", ["the"], False),  # a gold answer that normalises to nothing proves nothing
        ("", ["BSD"], False),
        ("-6", ["6"], False),
        ("a loss of \N{MINUS SIGN}6", ["-6"], True),
        ("3.5 km", ["35 km"], False),
        ("It is 3.5.", ["3.5"], True),
        ("1911-14, well-known", ["1911-14"], True),
    ],
)
def test_success_is_a_gold_answer_as_whole_words(answer: str, golds: list[str], expected: bool) -> None:
    assert success(answer, golds) is expected


@pytest.mark.parametrize(
    ("k", "ranked", "expected"),
    [
        (2, ["a", "x", "b"], 0.5),
        (3, ["a", "x", "b"], 1.0),
        (2, ["a", "a", "b"], 1.0),  # two chunks of one document take one place
        (5, ["x"], 0.0),
        (5, [], 0.0),
    ],
)
def test_recall_is_the_share_of_gold_documents_among_the_first_k(k: int, ranked: list[str], expected: float) -> None:
    assert recall_at(k, ["a", "b"], ranked) == expected


@pytest.mark.parametrize(
    ("answer", "quotes", "sums", "is_supported"),
    [
        ("BSD", ["Flask has the licence BSD-3-Clause.", "It is BSD."], [], True),
        ("the Oder", ["Oder is 866 km long"], [], True),
        ("58", ["866 km", "808 km"], [("866 - 808", "58")], True),
        ("58", ["866 km"], [("866 - 808", "58")], False),
        ("59", ["866 km", "808 km"], [("866 - 808", "58")], False),
        ("MIT", ["It is BSD."], [], False),
        ("IT", ["MIT"], [], False),
        ("Núñez", ["Herr Nu\u0301n\u0303ez kam."], [], True),
        ("BSD", [], [], False),
        ("", ["It is BSD."], [], False),
    ],
)
def test_an_answer_is_carried_by_what_it_cites_or_by_a_sum_of_it(answer, quotes, sums, is_supported):
    assert supported(answer, quotes, sums) is is_supported
