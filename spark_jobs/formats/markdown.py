"""Markdown files: their title, and their HTML tables as lists."""

import re

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.markdown_blocks import first_heading, front_matter
from spark_jobs.formats.text import text_format

_FRONT_MATTER_TITLE = re.compile(r"^title[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE)


def read_markdown(text: str) -> ExtractedText:
    if "<table" not in text.lower():
        return ExtractedText(text)
    from spark_jobs.formats.html_tables import tables_as_lists  # few files need its parser

    return ExtractedText(tables_as_lists(text))


def markdown_title(text: str) -> str | None:
    """The title in the front matter, else the first heading; None when there is neither."""
    match = _FRONT_MATTER_TITLE.search(front_matter(text))
    return (match and match[1].strip("\"'").strip()) or first_heading(text)


FORMATS = (text_format("Markdown", (".md", ".markdown"), read_markdown, ("text/markdown",)),)
