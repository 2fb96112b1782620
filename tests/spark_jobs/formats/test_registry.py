"""The formats by suffix, and files of text: one file in, one document or a rejection out."""

import io
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection, excerpt
from spark_jobs.formats.registry import FORMATS, format_of, is_container, max_bytes, parse_file, suffix_of_media_type

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)


def parse(name: str, content: bytes) -> ParsedDocument | Rejection:
    return parse_file(name, "file:///a", io.BytesIO(content), LIMITS)


def test_every_suffix_belongs_to_one_format() -> None:
    uses = Counter(suffix for file_format in FORMATS for suffix in file_format.suffixes)

    assert [suffix for suffix, count in uses.items() if count > 1] == []
    assert all(suffix == suffix.lower() for suffix in uses)


def test_only_text_without_a_parser_is_read_outside_the_sandbox() -> None:
    outside = [file_format for file_format in FORMATS if not file_format.is_sandboxed]

    assert {file_format.name for file_format in outside} == {
        "Markdown", "text", "reStructuredText", "AsciiDoc", "notebook", "transcript", "JSON", "source code",
    }  # fmt: skip
    assert all(file_format.is_text and not file_format.parsers for file_format in outside)


def test_a_format_is_looked_up_by_suffix_or_media_type() -> None:
    markdown, nothing = format_of("docs/READ.ME.MD"), format_of("a.png")

    assert (markdown and markdown.name, nothing) == ("Markdown", None)
    assert suffix_of_media_type("application/pdf") == ".pdf"
    assert suffix_of_media_type("image/png") is None
    assert [max_bytes(name, LIMITS) for name in ("a.md", "a.html", "a.png", "a.pdf", "a.zip")] == [
        100_000, 100_000, 100_000, 1_000_000, 1_000_000,
    ]  # fmt: skip
    assert [name for name in ("a.zip", "a.EML", "a.msg", "a.docx", "a") if is_container(name)] == [
        "a.zip", "a.EML", "a.msg",
    ]  # fmt: skip


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reading_of_text_raise(content: bytes) -> None:
    for suffix in (".md", ".html", ".rst", ".py", ".adoc", ".ipynb", ".vtt", ".json", ".xml"):
        assert isinstance(parse(f"a{suffix}", content), ParsedDocument | Rejection)


def test_files_that_hold_no_text_are_refused() -> None:
    reasons = {
        name: result.reason.split(".")[0].split(":")[0]
        for name, content in {
            "a.png": b"PNG",
            "a.jsonl": b"{}",
            "a.md": b"\xff\xfeA",
            "b.md": b"a\0b",
            "c.md": b" \n",
            "d.html": b"<div>" * 3000,
        }.items()
        if isinstance(result := parse(name, content), Rejection)
    }

    assert reasons == {
        "a.png": "unsupported file type '",
        "a.jsonl": "file type '",
        "a.md": "invalid UTF-16",
        "b.md": "binary file",
        "c.md": "empty text",
        "d.html": "HTML nested too deep to read",
    }


def test_an_unsupported_file_names_every_format() -> None:
    result = parse("a.png", b"PNG")

    assert isinstance(result, Rejection)
    assert result.excerpt == "PNG"
    assert result.reason.startswith("unsupported file type '.png': must be Markdown, text, reStructuredText, ")
    assert all(
        suffix in result.reason for file_format in FORMATS if not file_format.is_text for suffix in file_format.suffixes
    )


def titled(name: str, text: str) -> tuple[str, str]:
    """Title and text of a file."""
    document = parse(name, text.encode())
    assert isinstance(document, ParsedDocument)
    return document.title, document.text


def test_a_markdown_file_is_titled_by_front_matter_then_heading_then_name() -> None:
    assert titled("a.md", "---\ntitle: 'Given'\n---\n# First\n")[0] == "Given"
    assert titled("a.md", "text\n\n# First\n")[0] == "First"
    assert titled("a.md", "text")[0] == "a.md"


def test_html_keeps_structure_and_loses_scripts() -> None:
    html = (
        "<html><head><title>The  page</title></head><body><h2>Part</h2><script>steal()</script>"
        "<p>Some <b>bold</b> words.</p><ul><li>one</li><li>two</li></ul></body></html>"
    )

    assert titled("a.html", html) == ("The page", "## Part\n\nSome **bold** words.\n\n- one\n- two")


def test_html_is_not_escaped_and_holds_no_pictures() -> None:
    html = f"<p>Raise max_idle_conns to 2*3*4. <img alt='Curve' src='data:image/png;base64,{'iVBO' * 100}'> [a]</p>"

    assert titled("a.html", html)[1] == "Raise max_idle_conns to 2*3*4. ![Curve]() [a]"


def test_the_title_of_an_icon_is_not_the_pages() -> None:
    html = "<html><body><svg><title>Open menu</title></svg><h1>Leave</h1></body></html>"

    assert titled("a.html", html)[0] == "Leave"


def test_html_is_read_in_the_charset_that_it_declares() -> None:
    page = "<head><meta charset=Shift_JIS><title>ご案内</title></head><body>受付は午前九時に始まります</body>"
    document = parse("a.html", page.encode("cp932"))

    assert isinstance(document, ParsedDocument)
    assert (document.title, document.text) == ("ご案内", "受付は午前九時に始まります")


def test_html_and_markdown_name_their_author() -> None:
    html = parse("a.html", b"<head><meta name=Author content='Mia  Lang'></head><p>x</p>")
    markdown = parse("a.md", b"---\nauthors: [{name: Mia}, Tom]\ndate: 2026-11-05\n---\nx")

    assert isinstance(html, ParsedDocument)
    assert isinstance(markdown, ParsedDocument)
    assert (html.author, markdown.author) == ("Mia Lang", "Mia, Tom")
    assert markdown.updated_at == datetime(2026, 11, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("yaml", "title"),
    [
        ('"The \\"blue\\" glossary" # working title', 'The "blue" glossary'),
        ("'It''s our policy'", "It's our policy"),
        (">-\n  Handling of\n  returned goods", "Handling of returned goods"),
        ("2026", "2026"),
        ("[broken", "Heading"),
        ("&a [x, x]\nother: *a", "Heading"),
    ],
)
def test_front_matter_is_read_as_yaml(yaml: str, title: str) -> None:
    assert titled("a.md", f"---\ntitle: {yaml}\n---\n\n# Heading\n")[0] == title


def test_pictures_in_markdown_keep_their_description_only() -> None:
    text = f"![Sketch](data:image/png;base64,{'iVBO' * 100}) and data:text/plain;base64,SGk="

    assert titled("a.md", text)[1] == "![Sketch](data:image/png;base64,…) and data:text/plain;base64,SGk="


def test_source_code_is_titled_by_its_name_whatever_its_comments() -> None:
    assert titled("job.py", "# not a heading\nx = 1\n") == ("job.py", "```python\n# not a heading\nx = 1\n```\n")


def test_an_excerpt_shows_bytes_that_are_no_text() -> None:
    assert excerpt(b"caf\xe9 " + b"x" * 1000) == "caf\\xe9 " + "x" * 192
    assert excerpt(b"") is None
