"""An answer as a person reads it: its text with the numbers of its citations, and each citation's place."""

from typing import Any, get_args

import pytest

from agents.answer import Form
from infra.cli.documents import STYLES
from infra.cli.render_answer import print_answer, print_passage, with_numbers

USAGE = {"calls": 1, "input_tokens": 1, "cached_tokens": 0, "output_tokens": 1, "usd": "0"}
ANSWER = {"status": "answered", "citations": [], "usage": USAGE, "latency_s": 1.0, "task_id": "t", "steps": []}
CITATION = {
    "doc_id": "docs/install.md",
    "chunk_id": "c1",
    "quote": "pip install starlette",
    "title": "Starlette",
    "heading": "Guide › Install",
    "uri": "https://starlette.dev/install",
}


def printed(capsys: pytest.CaptureFixture[str], **fields: Any) -> str:
    print_answer(ANSWER | fields)
    return capsys.readouterr().out


def test_an_answer_shows_what_was_noted_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    note = {
        "kind": "note",
        "agent": "multihop",
        "hop": 0,
        "query": "disagreement fact1.votes v1",
        "output": "'9 km' says Liar",
    }
    search = {"kind": "search", "agent": "search", "hop": 1, "query": "Oder", "output": None}
    usage = {"calls": 1, "input_tokens": 1, "cached_tokens": 0, "output_tokens": 1, "usd": "0"}
    answer = {
        "answer": "866 km",
        "status": "answered",
        "citations": [],
        "uncited": ["It is deep."],
        "usage": usage,
        "latency_s": 1.0,
        "task_id": "t",
    }
    print_answer({"steps": [search, note], **answer})

    shown = " ".join(capsys.readouterr().out.split())
    assert "hop 1 search search | Oder hop 0" in shown
    assert "disagreement fact1.votes v1: '9 km' says Liar" in shown
    assert "no citation carries: “It is deep.”" in shown


def test_a_written_answer_numbers_its_statements_and_tells_where_each_citation_stands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    statements = [
        {"text": "Install it:", "citations": [0, 1]},
        {"text": "```\npip install starlette\n```", "citations": [1]},
    ]
    shown = printed(
        capsys,
        answer="1. Install it:\n```\npip install starlette\n```",
        form="steps",
        question="How do I install starlette?",
        statements=statements,
        citations=[CITATION | {"heading": "", "uri": ""}, CITATION],
        dropped=["It is fast."],
        documents_read=3,
        documents_left=2,
    )

    assert "1. Install it: [1][2]\n```\npip install starlette\n``` [2]\n" in shown
    assert "understood as: How do I install starlette?" in shown
    assert "  [1] Starlette  docs/install.md" in shown
    assert "  [2] Starlette › Guide › Install  docs/install.md  https://starlette.dev/install" in shown
    assert "      “pip install starlette”" in shown
    assert "left out, no passage supports it: “It is fast.”" in shown
    assert "3 documents read, 2 more found" in shown


def test_an_answer_of_an_older_gateway_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    citation = {name: CITATION[name] for name in ("doc_id", "chunk_id", "quote")}
    shown = printed(capsys, answer="BSD [3]", citations=[citation])

    assert "BSD [3]  (answered)" in shown
    assert "[1] docs/install.md  docs/install.md" in shown


def test_a_refusal_tells_what_is_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed(capsys, answer="The documents do not say.", status="refused", nearest=[CITATION])

    assert "nearest: Starlette › Guide › Install" in shown


@pytest.mark.parametrize(
    ("answer", "texts", "numbered"),
    [
        ("A is so. B is so.", ["A is so.", "B is so"], "A is so. [1] B is so. [2]"),
        ("- x\n- x", ["x", "x"], "- x [1]\n- x [2]"),
        ("| a | b |\n| --- | --- |\n| p | q |", ["p | q"], "| a | b |\n| --- | --- |\n| p | q [1] |"),
        ("A is so.", ["said otherwise", "A is so."], "A is so. [2]"),
        ("A is so.", [], "A is so."),
    ],
)
def test_numbers_follow_the_statements_and_alter_nothing_else(answer: str, texts: list[str], numbered: str) -> None:
    statements = [{"text": text, "citations": [place]} for place, text in enumerate(texts)]

    assert with_numbers(answer, statements) == numbered


def test_a_passage_is_shown_between_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    document = CITATION | {
        "text": "here [bold]",
        "number": 2,
        "chunks": 9,
        "author": None,
        "updated_at": "2026-05-01",
        "before": [{"text": "above"}],
        "after": [{"text": "below"}],
    }
    print_passage(document)

    shown = capsys.readouterr().out
    assert "Starlette › Guide › Install  chunk 2 of 9\n" in shown
    assert "docs/install.md  https://starlette.dev/install  2026-05-01\n\nabove\n\nhere [bold]\n\nbelow\n" in shown


def test_the_command_line_offers_the_forms_of_the_agents() -> None:
    assert get_args(Form) == STYLES
