"""HTML pages as Markdown, without scripts and styles."""

from spark_jobs.formats.document import ExtractedText, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.markdown_blocks import first_heading
from spark_jobs.formats.text import text_file_reader

PARSERS = ("bs4", "markdownify")
"""Modules that reading HTML imports; a Spark worker that reads only text never pays for them."""


def read_html(html: str) -> ExtractedText:
    """The page's title, else its first heading."""
    try:
        title, text = html_to_markdown(html)
    except RecursionError:
        raise Refused("HTML nested too deep to read. Simplify it, or convert it to Markdown.") from None
    except ValueError as error:
        raise Refused(f"HTML that no parser accepts: {error}. Repair it, or convert it to Markdown.") from None
    return ExtractedText(text, title or first_heading(text) or "")


def html_to_markdown(html: str) -> tuple[str, str]:
    """Title and text. Raises RecursionError for tags nested some hundred deep, ValueError for unreadable markup."""
    from bs4 import BeautifulSoup, ParserRejectedMarkup
    from markdownify import ATX, MarkdownConverter

    try:
        page = BeautifulSoup(html, "html.parser")
    except ParserRejectedMarkup as error:
        raise ValueError(str(error)) from None
    title = " ".join(page.title.get_text().split()) if page.title else ""
    for tag in page(["script", "style", "noscript", "template", "head"]):
        tag.decompose()
    return title, str(MarkdownConverter(heading_style=ATX, bullets="-").convert_soup(page)).strip()


FORMATS = (
    Format(
        "HTML",
        (".html", ".htm"),
        text_file_reader(read_html),
        is_text=True,
        parsers=PARSERS,
        media_types=("text/html", "application/xhtml+xml"),
    ),
)
