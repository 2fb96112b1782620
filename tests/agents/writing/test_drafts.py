"""What a model writes, read as lines with citations; and the grammar that holds it to them."""

import pytest

from agents.prompting.constraints import NONE
from agents.writing.drafts import TYPED, CitedLines, Line, read_draft

PASSAGES = "[1] Moss\nMoss is a guide.\n\n[2] Orders\nRun this:\n\ncode 1:\n```sh\norder moss\n```"


def test_lines_keep_their_text_and_the_passages_they_cite() -> None:
    draft = "Moss is a guide. [1]\nIt has 3 maps [1][2].\n"

    assert read_draft(draft, "explanation") == [Line("Moss is a guide", (1,)), Line("It has 3 maps", (1, 2))]


def test_running_text_is_cut_into_sentences_each_with_the_citations_behind_it() -> None:
    draft = "Moss is a guide. It has 3 maps [2]. Fern has none [1]."

    assert read_draft(draft, "explanation") == [
        Line("Moss is a guide.", (2,)),
        Line("It has 3 maps", (2,)),
        Line("Fern has none", (1,)),
    ]


def test_bullets_and_numbers_of_lines_are_no_part_of_them() -> None:
    assert read_draft("- .gitignore [1]\n* 3.5 mm [2]\n", "list") == [Line(".gitignore", (1,)), Line("3.5 mm", (2,))]
    assert read_draft("1. Stop it. [1]\n2) Start it. [1]", "steps") == [Line("Stop it", (1,)), Line("Start it", (1,))]


def test_code_is_put_in_by_its_name() -> None:
    assert read_draft("1. Run it: [2]\ncode 1\n", "steps") == [Line("Run it:", (2,)), Line("", code="code 1")]


def test_code_that_a_model_typed_itself_stays_whole() -> None:
    draft = "1. Run it: [2]\n```sh\norder moss [1]\n\nls\n```\n"

    assert read_draft(draft, "steps")[1:] == [Line("```sh\norder moss [1]\n\nls\n```", code=TYPED)]


def test_a_row_has_cells_and_a_header_is_none() -> None:
    draft = "| | moss | fern |\n|---|---|---|\n| maps | 3 | 0 | [1] [2]\n| language | Swedish [1] | Danish [2] |"

    assert read_draft(draft, "comparison") == [
        Line("maps | 3 | 0", (1, 2)),
        Line("language | Swedish | Danish", (1, 2)),
    ]


@pytest.mark.parametrize("draft", [NONE, ""])
def test_none_has_no_lines(draft: str) -> None:
    assert read_draft(draft, "list") == []


def test_what_was_cut_off_before_its_citation_and_what_is_said_twice_is_left_out() -> None:
    assert read_draft("- a [1]\n- b [1]\n- a [1]\n- c and", "list") == [Line("a", (1,)), Line("b", (1,))]


def test_a_model_that_writes_without_end_is_read_to_a_bound() -> None:
    assert len(read_draft("\n".join(f"- item {n} [1]" for n in range(500)), "list")) == 40


def test_the_grammar_allows_only_passages_and_code_that_are_shown() -> None:
    outputs = CitedLines("steps").structured_outputs({"passages": PASSAGES})

    assert outputs
    assert 'number ::= "1" | "2"' in outputs["grammar"]
    assert 'code ::= "code 1"' in outputs["grammar"]
    assert CitedLines("steps").structured_outputs({"passages": "no numbers"}) is None


@pytest.mark.parametrize("form", ["explanation", "steps", "list", "comparison"])
def test_the_grammars_are_valid(form: str) -> None:
    xgrammar = pytest.importorskip("xgrammar")
    outputs = CitedLines(form).structured_outputs({"passages": PASSAGES})  # type: ignore[arg-type]

    assert outputs
    assert xgrammar.Grammar.from_ebnf(outputs["grammar"])
