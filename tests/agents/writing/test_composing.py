"""Statements as Markdown."""

from agents.answer import Statement
from agents.writing.composing import compose

CODE = "```sh\norder moss\n```"


def said(*texts: str) -> list[Statement]:
    return [Statement(text=text, citations=[0]) for text in texts]


def test_sentences_end_with_a_full_stop() -> None:
    assert compose("explanation", said("Moss is a guide", "Is it? Yes.")) == "Moss is a guide. Is it? Yes."


def test_steps_are_numbered_and_code_has_no_number() -> None:
    assert compose("steps", said("Run it:", CODE, "Wait")) == f"1. Run it:\n{CODE}\n2. Wait"


def test_a_list_has_bullets() -> None:
    assert compose("list", said("Moss", "Fern")) == "- Moss\n- Fern"


def test_a_comparison_is_a_table_with_the_sides_in_its_header() -> None:
    assert compose("comparison", said("maps | 3 | 0"), ["moss", "fern"]) == (
        "| | moss | fern |\n| --- | --- | --- |\n| maps | 3 | 0 |"
    )


def test_a_comparison_without_rows_is_running_text() -> None:
    assert compose("comparison", said("Moss has 3 maps"), ["moss", "fern"]) == "Moss has 3 maps."
