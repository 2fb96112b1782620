"""Written answers over a scripted model: what is kept of its draft, and what is done where nothing is."""

from dataclasses import replace

import pytest

from agents.answer import Statement, Turn
from agents.runtime import load_program
from lakehouse.errors import InvalidInput
from tests.agents.conftest import passage

MOSS = replace(
    passage("Moss", "Moss is a guide to wet woods.\nMoss has 3 maps.\nIt is written in Swedish."), heading="Books"
)
FERN = passage("Fern", "Fern is a guide to shade.\nFern has no maps.\nIt is written in Danish.")
ORDERS = passage("Orders", "To order a book from Alder, run its tool:\n\n```sh\nalder order moss\n```\n\nThen wait.")
BOOKS = passage("Anna Holm", "Books that Anna Holm wrote:\n\n- Moss\n- Fern\n- Lichen")


@pytest.fixture(autouse=True)
def library(index, monkeypatch, tmp_path):
    """Four documents, and no compiled programs."""
    index.passages = (MOSS, FERN, ORDERS, BOOKS)
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    yield
    load_program.cache_clear()


@pytest.fixture
def write(ask, agents_with):
    """Asks a model that can write."""
    writing = agents_with(llm_writes=True)

    async def write(question, **given):
        return await ask(question, program="multihop", agents=writing, **given)

    return write


async def test_each_sentence_cites_the_passage_that_carries_it(model, write):
    model.says("Moss is a guide to wet woods. [1]\nIt is written in Swedish. [1]\n")
    answer = await write("Explain what Moss is")

    assert (answer.status, answer.form) == ("answered", "explanation")
    assert answer.answer == "Moss is a guide to wet woods. It is written in Swedish."
    assert [statement.citations for statement in answer.statements] == [[0], [1]]
    assert [(one.quote, one.title, one.heading) for one in answer.citations] == [
        ("Moss is a guide to wet woods.", "Moss", "Books"),
        ("It is written in Swedish.", "Moss", "Books"),
    ]
    assert (answer.dropped, answer.uncited) == ([], [])


async def test_what_no_passage_says_is_dropped_and_told(model, write):
    model.says("Moss has 3 maps. [1]\nMoss has 12 chapters. [1]\nIt was printed in Oslo. [2]\n")
    answer = await write("Explain what Moss has")

    assert answer.answer == "Moss has 3 maps."
    assert answer.dropped == ["Moss has 12 chapters", "It was printed in Oslo"]


async def test_a_wrong_citation_of_a_right_sentence_is_mended(model, write):
    model.says("Fern is a guide to shade. [1]\n")
    answer = await write("Explain what Fern is")

    assert [citation.title for citation in answer.citations] == ["Fern"]


async def test_a_citation_of_a_passage_that_was_not_shown_counts_as_none(model, write):
    model.says("Moss has 3 maps. [9]\nMoss is banned. [9]\n")
    answer = await write("Explain what Moss has")

    assert [citation.title for citation in answer.citations] == ["Moss"]
    assert answer.dropped == ["Moss is banned"]


async def test_code_is_copied_to_the_letter(model, write):
    model.says("1. To order a book run the tool: [3]\ncode 1\n2. Then wait. [3]\n")
    answer = await write("How do I order a book from Alder?")

    assert answer.form == "steps"
    assert answer.answer == "1. To order a book run the tool:\n```sh\nalder order moss\n```\n2. Then wait"
    assert answer.citations[1].quote == "```sh\nalder order moss\n```"


async def test_code_that_no_passage_has_is_dropped(model, write):
    model.says("1. To order a book run the tool: [3]\n```sh\nrm -rf /\n```\n")
    answer = await write("How do I order a book from Alder?")

    assert answer.dropped == ["```sh\nrm -rf /\n```"]
    assert "rm" not in answer.answer


async def test_a_list_is_counted_with_the_documents_that_were_read(model, write):
    model.says("- Moss [4]\n- Fern [4]\n- Lichen [4]\n- Algae [4]\n")
    answer = await write("Which books did Anna Holm write, all of them?")

    assert (answer.form, answer.answer) == ("list", "- Moss\n- Fern\n- Lichen")
    assert answer.dropped == ["Algae"]
    assert (answer.documents_read, answer.documents_left) == (4, 0)


async def test_a_comparison_is_a_table_of_supported_rows(model, write):
    model.says("| maps | 3 | no maps | [1] [2]\n| language | Swedish | Danish | [1] [2]\n| price | 12 | 9 | [1]\n")
    answer = await write("What is the difference between Moss and Fern?")

    assert answer.answer.splitlines() == [
        "| | Moss | Fern |",
        "| --- | --- | --- |",
        "| maps | 3 | no maps |",
        "| language | Swedish | Danish |",
    ]
    assert {citation.title for citation in answer.citations} == {"Moss", "Fern"}
    assert answer.dropped == ["price | 12 | 9"]


async def test_a_model_that_writes_nothing_supported_gives_way_to_the_passages(model, write):
    model.says("Trolls wrote it in 1066. [1]\n")
    answer = await write("Explain what Moss is")

    assert answer.status == "answered"
    assert answer.answer.startswith("Moss is a guide to wet woods.")
    assert answer.statements[0] == Statement(text="Moss is a guide to wet woods.", citations=[0])


async def test_a_model_that_cannot_write_is_not_asked(model, ask):
    answer = await ask("How do I order a book from Alder?", program="multihop")

    assert answer.answer == "1. To order a book from Alder, run its tool:\n```sh\nalder order moss\n```"
    assert (answer.usage.calls, model.asked) == (0, [])


async def test_a_list_is_copied_where_the_model_cannot_write(ask):
    answer = await ask("Which books did Anna Holm write, all of them?", program="multihop")

    assert answer.answer == "- Moss\n- Fern\n- Lichen"


async def test_the_asker_chooses_the_form(model, write):
    model.says("- Moss [4]\n")
    answer = await write("What did Anna Holm write?", style="list")

    assert (answer.form, answer.answer) == ("list", "- Moss")


async def test_a_refusal_names_what_is_nearest(model, write):
    model.always_says("none")
    answer = await write("What is the price of Zanzibar tea?", style="fact")

    assert (answer.status, answer.citations) == ("refused", [])
    assert [citation.title for citation in answer.nearest] == ["Moss", "Fern", "Orders"]


@pytest.mark.parametrize("given", [{"style": "list"}, {"history": [Turn(question="Why?", answer="So.")]}])
async def test_a_program_that_would_ignore_an_option_refuses_it(ask, given):
    with pytest.raises(InvalidInput, match="multihop does"):
        await ask("Explain Moss", program="single_shot", **given)


async def test_two_questions_are_answered_one_below_the_other(model, write):
    model.says("Moss is a guide to wet woods. [1]\n", "1. To order a book run the tool: [3]\ncode 1\n")
    answer = await write("What is Moss about? How do I order a book from Alder?")

    assert answer.answer == (
        "What is Moss about?\nMoss is a guide to wet woods.\n\n"
        "How do I order a book from Alder?\n1. To order a book run the tool:\n```sh\nalder order moss\n```"
    )
    assert [[answer.citations[place].title for place in one.citations] for one in answer.statements] == [
        ["Moss"],
        ["Orders"],
        ["Orders"],
    ]
