"""Pieces of Markdown: each stands in the text as it is."""

from lakehouse.text.markdown_units import MarkdownUnit, units

GUIDE = """# Install

Do this:

1. Run it:
   ```sh
   pip install x
   ```
2. Then go.

- a
  - b

| A | B |
|---|---|
| 1 | 2 |
"""


def test_each_piece_is_of_a_kind_and_as_it_stands() -> None:
    assert units(GUIDE) == [
        MarkdownUnit("heading", "# Install"),
        MarkdownUnit("text", "Do this:"),
        MarkdownUnit("item", "1. Run it:", is_ordered=True),
        MarkdownUnit("code", "   ```sh\n   pip install x\n   ```"),
        MarkdownUnit("item", "2. Then go.", is_ordered=True),
        MarkdownUnit("item", "- a"),
        MarkdownUnit("item", "  - b"),
        MarkdownUnit("header", "| A | B |"),
        MarkdownUnit("row", "| 1 | 2 |"),
    ]
    assert all(unit.text in GUIDE for unit in units(GUIDE))


def test_a_second_paragraph_of_an_item_is_text() -> None:
    assert [unit.kind for unit in units("- a\n\n  more\n- b")] == ["item", "text", "item"]


def test_a_block_that_a_chunk_cut_off_is_code_to_its_end() -> None:
    assert units("```sh\nls") == [MarkdownUnit("code", "```sh\nls")]
