"""A passage's Markdown cut into the pieces that an answer may quote: paragraphs, list items, rows of tables, code.

`spark_jobs.documents` cuts documents into chunks by blocks of its own, which keep offsets and headings; here a chunk is
read again, and each piece is the text as it stands.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

Kind = Literal["heading", "text", "item", "row", "header", "code"]
_CODE = ("fence", "code_block")


@dataclass(frozen=True)
class MarkdownUnit:
    """A piece of Markdown. `text`: its lines as they are; an item with its bullet, code with its fences."""

    kind: Kind
    text: str
    is_ordered: bool = False
    """Of an item: whether its list is numbered."""


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def units(markdown: str) -> list[MarkdownUnit]:
    """The pieces of a text in their order. An item's own lines, without those of lists and code inside it."""
    lines = markdown.splitlines()
    found: list[MarkdownUnit] = []
    lists: list[bool] = []  # of each list around the token: whether it is numbered
    item_begins = in_header = False
    for token in _parser().parse(markdown):
        lists = _around(lists, token)
        if token.type == "list_item_open":
            item_begins = True
        elif token.type in ("thead_open", "thead_close"):
            in_header = token.type == "thead_open"
        elif token.type == "tr_open":
            found.append(_unit("header" if in_header else "row", lines, token))
        elif token.type in _CODE:
            found.append(_unit("code", lines, token))
        elif token.type == "heading_open":
            found.append(_unit("heading", lines, token))
        elif token.type == "paragraph_open":
            kind: Kind = "item" if item_begins else "text"
            found.append(_unit(kind, lines, token, is_ordered=bool(lists) and lists[-1]))
            item_begins = False
    return [unit for unit in found if unit.text.strip()]


def _around(lists: list[bool], token: Token) -> list[bool]:
    if token.type in ("bullet_list_open", "ordered_list_open"):
        return [*lists, token.type == "ordered_list_open"]
    return lists[:-1] if token.type in ("bullet_list_close", "ordered_list_close") else lists


def _unit(kind: Kind, lines: list[str], token: Token, *, is_ordered: bool = False) -> MarkdownUnit:
    begin, end = token.map or (0, 0)
    return MarkdownUnit(kind, "\n".join(lines[begin:end]).strip("\n"), is_ordered)
