"""HTML pages as Markdown, without scripts, styles and pictures' data. Nothing is escaped: nobody renders the text."""

from typing import Any

from spark_jobs.formats.document import ExtractedText, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.markdown_blocks import first_heading
from spark_jobs.formats.text import text_file_reader, without_data

PARSERS = ("bs4", "markdownify")
"""Modules that reading HTML imports; a Spark worker that reads only text never pays for them."""


def read_html(html: str) -> ExtractedText:
    """The page's title, else its first heading."""
    try:
        page = _page(html)
        author = _author(page)
        title, text = _title(page), _markdown(page)
    except RecursionError:
        raise Refused("HTML nested too deep to read. Simplify it, or convert it to Markdown.") from None
    except ValueError as error:
        raise Refused(f"HTML that no parser accepts: {error}. Repair it, or convert it to Markdown.") from None
    return ExtractedText(text, title or first_heading(text) or "", author=author)


def html_to_markdown(html: str) -> tuple[str, str]:
    """Title and text. Raises RecursionError for tags nested some hundred deep, ValueError for unreadable markup."""
    page = _page(html)
    return _title(page), _markdown(page)


def _page(html: str) -> Any:
    from bs4 import BeautifulSoup, ParserRejectedMarkup

    try:
        return BeautifulSoup(html, "html.parser")
    except ParserRejectedMarkup as error:
        raise ValueError(str(error)) from None


def _title(page: Any) -> str:
    """The title of the page itself, not of a picture (`<svg>`) in it."""
    titles = (tag for tag in page.find_all("title") if tag.find_parent(["svg", "body"]) is None)
    return next((" ".join(tag.get_text().split()) for tag in titles), "")


def _author(page: Any) -> str | None:
    tag = page.find("meta", attrs={"name": lambda name: name is not None and name.lower() == "author"})
    return " ".join(str(tag.get("content", "")).split()) or None if tag else None


def _markdown(page: Any) -> str:
    from bs4.element import ProcessingInstruction

    from spark_jobs.formats.html_tables import PageConverter, unwrap_layout_tables

    for declaration in page.find_all(string=lambda text: isinstance(text, ProcessingInstruction)):
        declaration.extract()  # <?xml version="1.0"?>, which is no text of the page
    for tag in page(["script", "style", "noscript", "template", "head"]):
        tag.decompose()
    for tag in page.find_all(src=_is_data):
        tag["src"] = ""
    unwrap_layout_tables(page)
    converter = PageConverter(code_language_callback=_language)
    return without_data(str(converter.convert_soup(page))).strip()


def _is_data(address: str | None) -> bool:
    return address is not None and address.lstrip()[:5].lower() == "data:"


def _language(block: Any) -> str:
    """The language of a block of code: `<code class="language-sql">`."""
    code = block.find("code") or block
    return next((name.removeprefix("language-") for name in code.get("class", []) if name.startswith("language-")), "")


FORMATS = (
    Format(
        "HTML",
        (".html", ".htm", ".xhtml"),
        text_file_reader(read_html, is_markup=True),
        is_text=True,
        parsers=PARSERS,
        media_types=("text/html", "application/xhtml+xml"),
    ),
)
