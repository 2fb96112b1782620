"""Pieces of passages as answers: verbatim, of the form that was asked for, and without a model."""

from agents.answer import Form
from agents.writing.evidence import Subject
from agents.writing.extracting import extract
from lakehouse.index.passages import Passage
from tests.agents.conftest import passage

STEPS = passage(
    "Gateway", "Restart the gateway like this:\n\n1. Drain it:\n\n```sh\nctl drain\n```\n\n2. Wait.\n\nIt is blue."
)
TABLE = passage("Ports", "Ports of the gateway:\n\n| Port | Use |\n|---|---|\n| 3000 | HTTP |\n| 9090 | metrics |")
FLAT = passage("FLAT", "FLAT compares every vector. It is exact.")
IVF = passage("IVF_FLAT", "IVF_FLAT compares the vectors of some clusters. It is faster.")


def texts(form: Form, question: str, *passages: Passage, sides: tuple[str, ...] = ()) -> list[str]:
    _, result = extract(form, Subject(question, question, sides), passages)
    for statement in result.statements:  # every piece is cited, by words that stand in the passage
        assert all(result.citations[place].quote in passages_text(passages) for place in statement.citations)
    return [statement.text for statement in result.statements]


def passages_text(passages: tuple[Passage, ...]) -> str:
    return "\n\n".join(passage.text for passage in passages)


def test_steps_are_numbered_items_and_code_with_what_leads_to_them() -> None:
    assert texts("steps", "how do i restart the gateway", FLAT, STEPS) == [
        "Restart the gateway like this:",
        "Drain it:",
        "```sh\nctl drain\n```",
        "Wait.",
    ]


def test_a_list_may_be_the_rows_of_a_table() -> None:
    assert texts("list", "which ports has the gateway", TABLE) == ["3000, HTTP", "9090, metrics"]


def test_each_side_of_a_comparison_is_quoted_from_its_own_document() -> None:
    assert texts("comparison", "diff flat vs ivf_flat", IVF, FLAT, sides=("flat", "ivf_flat")) == [
        "flat | FLAT compares every vector.",
        "ivf_flat | IVF_FLAT compares the vectors of some clusters.",
    ]


def test_an_explanation_is_the_closest_sentences() -> None:
    assert texts("explanation", "why is flat exact", FLAT) == ["It is exact."]


def test_another_document_with_the_same_words_is_not_quoted_where_the_question_names_one() -> None:
    other = passage("IVF_SQ8", "IVF_SQ8 is exact too, and exact enough for most.")
    assert texts("explanation", "why is flat exact", other, FLAT) == ["It is exact."]


def test_a_list_may_be_every_sentence_that_holds_all_of_it() -> None:
    books = [
        passage(name, f"{name} is written by {author}.") for name, author in (("a", "Ann Holm"), ("b", "Ann Holm"))
    ]
    other = passage("c", "c is written by Bea Holm.")
    assert texts("list", "which packages are written by ann holm", other, *books) == [
        "a is written by Ann Holm.",
        "b is written by Ann Holm.",
    ]


def test_lines_that_are_wrapped_are_one_sentence_and_its_quote_stands_in_the_passage() -> None:
    wrapped = passage("Fern", "Fern grows in\nthe deep shade of\nbeeches.\nIt is green.")
    assert texts("explanation", "where does fern grow, in shade?", wrapped)[0] == (
        "Fern grows in the deep shade of beeches."
    )


def test_what_a_document_is_comes_first_where_only_its_name_is_asked() -> None:
    fern = passage("Fern", "Fern, see also moss.\nFern is a plant of the shade.")
    assert texts("explanation", "what is fern", fern)[-1] == "Fern is a plant of the shade."


def test_steps_without_code_or_numbers_are_told_as_an_explanation() -> None:
    form, result = extract("steps", Subject("how does flat compare", "flat"), [FLAT])
    assert (form, result.statements[0].text) == ("explanation", "FLAT compares every vector.")


def test_a_passage_that_shares_no_word_gives_nothing() -> None:
    assert texts("explanation", "who signs invoices", FLAT) == []


def test_where_nothing_is_named_a_passage_must_hold_most_of_what_is_asked() -> None:
    assert texts("steps", "how do i cook rice", STEPS) == []
    assert texts("explanation", "what is the capital of ivf vectors in france", IVF) == []
