"""The chunker alone: a document in, its chunks out."""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lakehouse.index.embedding import embedded_text, load_tokenizer
from spark_jobs.documents.chunking import MAX_CHARACTERS, Chunk, chunk_document, embedded_title
from spark_jobs.formats.markdown_blocks import code_spans, first_heading

Cut = Callable[..., list[Chunk]]
TOKENIZER = load_tokenizer("all-MiniLM-L6-v2")


def cut(text: str, title: str = "Title", max_tokens: int = 40, tokenizer: Tokenizer = TOKENIZER) -> list[Chunk]:
    return chunk_document(text, title, tokenizer, max_tokens)


def assert_sound(text: str, chunks: list[Chunk], title: str, max_tokens: int) -> None:
    """Spans in order, apart, true to the document, together all of it, and none too long for the model."""
    covered = 0
    for chunk in chunks:
        assert chunk.start >= covered
        assert text[covered : chunk.start].strip() == ""
        assert chunk.text.endswith(text[chunk.start : chunk.end])
        assert chunk.text == chunk.text.strip() != ""
        tokens = TOKENIZER.encode(embedded_text(title, chunk.heading_path, chunk.text)).ids
        assert chunk.token_count == len(tokens) <= max_tokens
        assert len(chunk.text) <= MAX_CHARACTERS
        covered = chunk.end
    assert text[covered:].strip() == ""


MARKDOWN_PIECES = st.sampled_from(
    [
        "# ",
        "## ",
        "###### ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "- ",
        "  - ",
        "1. ",
        "> ",
        "```\n",
        "~~~",
        "| a | b |\n",
        "|---|---|\n",
        "---\n",
        "===\n",
        "<div>",
        "[x]: y\n",
        "    ",
        "\t",
        "word",
        "a sentence. ",
        "漢字",
        "。",
        "ไทย",
        "é",
        "👩‍👩‍👧",
        "\0",
        "\u200b",
        "\u2028",
        "\x85",
        "\xa0",
        "x" * 150,
        "word " * 60,
        "title: t\n",
    ]
)
DOCUMENTS = st.one_of(st.lists(MARKDOWN_PIECES, max_size=60).map("".join), st.text(max_size=400))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=DOCUMENTS, title=st.text(max_size=80), max_tokens=st.sampled_from([32, 40, 200]))
def test_any_document_is_covered_by_ordered_spans_that_fit_the_model(text: str, title: str, max_tokens: int) -> None:
    title = embedded_title(title, TOKENIZER, max_tokens)

    assert_sound(text, cut(text, title, max_tokens), title, max_tokens)


def test_a_passage_of_one_paragraph_is_one_chunk() -> None:
    text = "Jeffrey Porcaro was an American drummer, best known for his work with the rock band Toto."

    assert [(chunk.text, chunk.heading_path) for chunk in cut(text)] == [(text, ())]


def test_a_chunk_knows_the_headings_above_it() -> None:
    body = "Plain words that fill the section so that it is not small. " * 2
    text = f"# Guide\n\n{body}\n\n## Install\n\n{body}\n\n### Linux\n\n{body}\n\n## Use\n\n{body}"

    assert [(chunk.heading_path, chunk.text.split("\n")[0]) for chunk in cut(text, max_tokens=60)] == [
        ((), "# Guide"),
        (("Guide",), "## Install"),
        (("Guide", "Install"), "### Linux"),
        (("Guide",), "## Use"),
    ]


def test_a_heading_is_never_parted_from_its_text() -> None:
    text = "# Limits\n\n" + "One long line of many sentences. " * 30

    assert cut(text)[0].text.startswith("# Limits\n\nOne long line")


@pytest.mark.parametrize(
    "block",
    [
        "```python\ndef f():\n    return 1\n\n\nprint(f())\n```",
        "| name | size |\n|------|------|\n| a    | 1    |\n| b    | 2    |",
        "- first\n- second\n  - inner\n- third",
        "> quoted\n> twice",
    ],
    ids=["code", "table", "list", "quote"],
)
def test_a_block_stays_whole_where_it_fits(block: str) -> None:
    before = "Some words that come before it. " * 4
    chunks = cut(f"{before}\n\n{block}\n\n{before}", max_tokens=50)

    assert any(block in chunk.text for chunk in chunks)


def test_a_long_list_is_cut_between_items() -> None:
    items = [f"- item {number} with\n  a second line" for number in range(20)]

    for chunk in cut("\n".join(items)):
        assert chunk.text.startswith("- item")
        assert chunk.text.endswith("a second line")


def test_a_long_paragraph_is_cut_between_sentences_into_pieces_of_about_one_size() -> None:
    chunks = cut("The cat sat on the mat again today. " * 12)

    assert {chunk.text[-1] for chunk in chunks} == {"."}
    assert max(chunk.token_count for chunk in chunks) - min(chunk.token_count for chunk in chunks) <= 9


def test_a_script_without_spaces_is_cut_too() -> None:
    text = "東京都は日本の首都である" * 20

    assert_sound(text, cut(text), "Title", 40)
    assert len(cut(text)) > 5


TABLE = "| code | torque_nm |\n| ---- | --------- |\n" + "\n".join(f"| K-{number} | {number} |" for number in range(90))


def test_each_chunk_of_a_long_table_names_its_columns() -> None:
    chunks = cut(f"# Screws\n\nAll of them.\n\n{TABLE}\n\nThe end.", max_tokens=60)

    rows = [chunk for chunk in chunks if "| K-" in chunk.text]
    assert len(rows) > 5
    assert all("| code | torque_nm |\n|-|-|\n| K-" in chunk.text for chunk in rows[1:])
    assert_sound(f"# Screws\n\nAll of them.\n\n{TABLE}\n\nThe end.", chunks, "Title", 60)


def test_a_header_is_never_parted_from_its_first_row() -> None:
    for before in range(1, 40):
        chunks = cut("word " * before + f"\n\n{TABLE}", max_tokens=60)

        assert all("| K-" in chunk.text for chunk in chunks if "torque_nm" in chunk.text)


def test_a_header_that_would_fill_a_chunk_is_not_repeated() -> None:
    wide = "| " + " | ".join(f"column {number}" for number in range(20)) + " |\n" + "| --- " * 20 + "|\n"

    assert sum("column 7" in chunk.text for chunk in cut(wide + "| x |\n" * 60, max_tokens=60)) == 1


def test_a_text_a_little_longer_than_a_chunk_becomes_even_halves() -> None:
    paragraphs = [f"Paragraph {number} says a few plain words about pumps." for number in range(6)]
    chunks = cut("\n\n".join(paragraphs), max_tokens=60)

    assert len(chunks) == 2
    assert abs(chunks[0].token_count - chunks[1].token_count) <= 12


def test_a_short_paragraph_before_a_long_one_is_no_chunk_of_its_own() -> None:
    chunks = cut("A short start.\n\n" + "The cat sat on the mat again today. " * 12, max_tokens=60)

    assert min(chunk.token_count for chunk in chunks) > 30


def test_small_sections_of_one_parent_share_a_chunk() -> None:
    text = "# All\n\n" + "".join(f"## Q{number}\n\nYes.\n\n" for number in range(3))

    assert len(cut(text, max_tokens=200)) == 1


def test_front_matter_is_no_heading() -> None:
    text = "---\nid: install\nrelated: none\n---\n\n# Install\n\nText."

    assert first_heading(text) == "Install"
    assert cut(text)[-1].text.endswith("# Install\n\nText.")


def test_a_long_title_and_long_headings_leave_room_for_the_text() -> None:
    title = embedded_title("very " * 500, TOKENIZER, 40)
    text = "# " + "long " * 500 + "\n\n## " + "longer " * 100 + "\n\n" + "Text of the section. " * 30

    assert_sound(text, cut(text, title), title, 40)


def test_an_edit_in_one_section_leaves_the_others_as_they_were() -> None:
    sections = [f"## Part {number}\n\n" + f"Words about number {number}. " * 8 for number in range(6)]
    before = {chunk.text for chunk in cut("\n\n".join(sections), max_tokens=80)}
    sections[2] += "One more sentence."
    after = {chunk.text for chunk in cut("\n\n".join(sections), max_tokens=80)}

    assert len(after - before) == 1


@pytest.mark.parametrize("text", ["", " \n\t\n", "\xa0", "\n" * 1000], ids=repr)
def test_a_blank_document_has_no_chunks(text: str) -> None:
    assert cut(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "word " * 400_000,
        "a" * 2_000_000,
        "漢字" * 200_000,
        "# heading\n" * 20_000,
        "## heading\n\ntext\n\n" * 10_000,
        "- item\n" * 20_000,
        "> " * 5_000 + "x\n",
        "- " * 5_000 + "x\n",
        "".join(" " * 2 * depth + "- a\n" for depth in range(1_000)),
        "```\n" + "code\n" * 50_000,
        "[a]: b\n" * 20_000,
        "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n" + "|x|\n" * 5_000,
        "[" * 100_000,
        "x" + " " * 2_000_000 + "y",
    ],
    ids=[
        "words",
        "one word",
        "han",
        "headings",
        "sections",
        "items",
        "quotes",
        "nested items",
        "nested list",
        "unclosed fence",
        "link definitions",
        "wide table",
        "brackets",
        "blanks",
    ],
)
def test_a_pathological_document_takes_seconds(text: str) -> None:
    begun = time.process_time()
    chunks = cut(text, max_tokens=200)

    assert time.process_time() - begun < 20  # each takes under 2 s; quadratic ones would take minutes
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text.rstrip())


def test_code_stands_where_markdown_says_so() -> None:
    text = "---\na: b\n---\ntext `code`\n\n```\n# no heading\n```\n\n- item\n\n      deep\n\nend\n"

    assert [text[start:end] for start, end in code_spans(text)] == ["```\n# no heading\n```\n", "      deep\n"]
