"""Which names a title has, and what in a text counts as one of them."""

from time import thread_time

import pytest

from spark_jobs.documents.mentions import Matcher, Mention, longest, names_of


def found(text: str, *names: str) -> list[str]:
    return [mention.name for mention in longest(Matcher(names).find(text))]


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Orion", [("Orion", "title")]),
        ("Orion (film)", [("Orion (film)", "title"), ("Orion", "stem")]),
        (
            "Paris, Texas (film)",
            [("Paris, Texas (film)", "title"), ("Paris, Texas", "stem"), ("Paris", "before_comma")],
        ),
        ("  Release\u00a0 Notes ", [("Release Notes", "title")]),
        ("C++", []),
        ("2026", []),
        ("word " * 13, []),
        ("北京大学", [("北京大学", "title")]),
    ],
)
def test_a_title_gives_names_unless_it_is_none(title: str, names: list[tuple[str, str]]) -> None:
    assert names_of(title) == names


@pytest.mark.parametrize(
    ("text", "name", "mentioned"),
    [
        ("Orion's fleet", "Orion", True),
        ("Orionids", "Orion", False),
        ("an orion", "Orion", False),
        ("ORION", "Orion", True),
        ("The Orion Nebula", "Orion", False),  # part of a longer name
        ("New Orion", "Orion", False),
        ("Orion. New text", "Orion", True),
        ("see the overview", "Overview", False),
        ("it needs click and rich", "click", True),
        ("Click here", "click", False),
        ("click-plugins", "click", False),
        ("pallets/click", "click", False),
        ("new york city", "New York City", False),
        ("your annual leave", "Annual leave", True),
        ("new\n  York", "New York", True),
        ("New-York", "New York", True),
        ("S.P.L. Sørensen", "S. P. L. Sørensen", True),
        ("So\u0308ren Ring", "S\u00f6ren Ring", True),
        ("\uff2frion is full-width", "Orion", True),
        ("他在北京大学读书", "北京大学", True),
    ],
)
def test_how_a_name_is_written_decides(text: str, name: str, mentioned: bool) -> None:
    assert found(text, name) == ([name] if mentioned else [])


def test_the_longest_of_overlapping_names_is_meant_and_neighbours_both_count() -> None:
    assert found("York, New York City New York", "York", "New York", "New York City") == [
        "York", "New York City", "New York",
    ]  # fmt: skip


def test_names_that_differ_only_in_case_are_told_apart_by_the_text() -> None:
    assert found("He saw it in Black Box", "Black Box", "Black box") == ["Black Box", "Black box"]
    assert found("He saw the black box", "Black Box", "Black box") == ["Black box"]


def test_offsets_are_those_of_the_text_itself() -> None:
    text = "Ωmega: S\u00f6ren  Ring!"
    (mention,) = Matcher(["S\u00f6ren Ring"]).find(text)
    assert mention == Mention(7, 18, "Sören Ring")
    assert text[mention.start : mention.end] == "Sören  Ring"


def test_time_grows_linearly_with_the_text() -> None:
    matcher = Matcher([f"Name {n}" for n in range(1000)] + ["Orion"])
    text = "Name 7 and Orion in a sentence. " * 2000

    def seconds(text: str) -> float:
        begun = thread_time()  # the process's own would count the threads of Spark and gRPC too
        assert sum(1 for _ in matcher.find(text)) == 2 * text.count("Orion")
        return thread_time() - begun

    one, four = (min(seconds(text * times) for _ in range(5)) for times in (1, 4))
    assert four < 12 * one
