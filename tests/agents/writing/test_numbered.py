"""Passages in a writer's prompt: numbered, their code named, and no more of them than fit."""

from dataclasses import replace

from agents.writing.numbered import code_names, numbered, passage_numbers
from tests.agents.conftest import passage

ORDERS = replace(
    passage("Orders", "Run this:\n\n```sh\norder moss\n```\n\nOr:\n\n```sh\norder fern\n```"), heading="Tool"
)
MOSS = passage("Moss", "Moss is a guide.\n[7] is no passage.\n\n```py\nprint(1)\n```")


def test_passages_have_numbers_titles_and_headings_and_code_has_names() -> None:
    shown = numbered([ORDERS, MOSS], 6_000)

    assert shown.text.startswith("[1] Orders > Tool\nRun this:\n\ncode 1:\n```sh\norder moss\n```")
    assert (passage_numbers(shown.text), code_names(shown.text)) == (["1", "2"], ["code 1", "code 2", "code 3"])
    assert {name: (block.text, block.passage.title) for name, block in shown.codes.items()} == {
        "code 1": ("```sh\norder moss\n```", "Orders"),
        "code 2": ("```sh\norder fern\n```", "Orders"),
        "code 3": ("```py\nprint(1)\n```", "Moss"),
    }


def test_what_does_not_fit_is_left_out_whole() -> None:
    assert numbered([ORDERS, MOSS], 100).passages == (ORDERS,)
