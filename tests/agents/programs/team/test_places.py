"""Places in a sub-task's question, where findings stand."""

from agents.programs.team.places import filled, ids_in, with_new_ids


def test_ids_stand_in_braces_with_or_without_each():
    assert ids_in("Are {a}, {each b} and {each b} in {c0} or {} or {d e}?") == ["a", "b", "b", "c0"]


def test_new_ids_keep_their_places():
    assert with_new_ids("Are {a} and {each a} in {b}?", {"a": "a2"}) == "Are {a2} and {each a2} in {b}?"


def test_a_place_is_filled_with_the_finding():
    assert filled("How long is the {river} {x}?", {"river": "Oder"}) == ["How long is the Oder {x}?"]


def test_an_each_gives_a_question_for_each_name_of_the_finding():
    names = {"two": "Warta, Neisse, and Oder and Elbe"}
    assert filled("How long is {each two}?", names) == [
        f"How long is {name}?" for name in ("Warta", "Neisse", "Oder", "Elbe")
    ]
