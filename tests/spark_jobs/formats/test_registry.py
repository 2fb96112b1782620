"""The formats by suffix, and files of text: one file in, one document or a rejection out."""

import io
from collections import Counter

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

    assert {file_format.name for file_format in outside} == {"Markdown", "text", "reStructuredText", "source code"}
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
    for suffix in (".md", ".html", ".rst", ".py"):
        assert isinstance(parse(f"a{suffix}", content), ParsedDocument | Rejection)


def test_files_that_hold_no_text_are_refused() -> None:
    reasons = {
        name: result.reason.split(".")[0].split(":")[0]
        for name, content in {
            "a.png": b"PNG",
            "a.jsonl": b"{}",
            "a.md": b"\xff\xfeA\x01",
            "b.md": b"a\0b",
            "c.md": b" \n",
            "d.html": b"<div>" * 3000,
        }.items()
        if isinstance(result := parse(name, content), Rejection)
    }

    assert reasons == {
        "a.png": "unsupported file type '",
        "a.jsonl": "file type '",
        "a.md": "invalid UTF-8",
        "b.md": "binary file",
        "c.md": "empty text",
        "d.html": "HTML nested too deep to read",
    }


def test_an_unsupported_file_names_every_format() -> None:
    result = parse("a.png", b"PNG")

    assert isinstance(result, Rejection)
    assert (result.excerpt, result.reason) == (
        "PNG",
        "unsupported file type '.png': must be Markdown, text, reStructuredText, HTML, source code or one of .pdf, "
        ".docx, .docm, .pptx, .pptm, .xlsx, .xlsm, .xls, .csv, .tsv, .eml, .msg, .zip. "
        "Convert it to one of these, e.g. to .md.",
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


def test_source_code_is_titled_by_its_name_whatever_its_comments() -> None:
    assert titled("job.py", "# not a heading\nx = 1\n") == ("job.py", "```python\n# not a heading\nx = 1\n```\n")


def test_an_excerpt_shows_bytes_that_are_no_text() -> None:
    assert excerpt(b"caf\xe9 " + b"x" * 1000) == "caf\\xe9 " + "x" * 192
    assert excerpt(b"") is None
