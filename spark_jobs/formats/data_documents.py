"""JSON and XML: configuration as a fenced block, documents as text.

A file counts as a document where most of its characters are words of sentences: an export of pages, a feed, DocBook.
Then keys and tags are noise, and become what they mean: a label of each value, a paragraph of each element.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from spark_jobs.formats.document import ExtractedText, Refused
from spark_jobs.formats.format import Format
from spark_jobs.formats.source_code import fenced
from spark_jobs.formats.text import text_file_reader, text_format, without_data

_SENTENCE = re.compile(r"\b\w{2,}+[,;:]? \w++[,;:]? \w++[,;:]? \w+")
_MIN_PROSE_SHARE, _MIN_PROSE_SHARE_OF_XML = 0.3, 0.2  # of all characters: tags are written twice
_TITLES = ("title", "name", "subject", "headline")


def read_json(text: str) -> ExtractedText:
    """A document where it holds prose; else, or where it is no valid JSON, the file as code."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ExtractedText(without_data(fenced(text, "json")), "")
    try:
        if _prose(_strings(value)) < _MIN_PROSE_SHARE * len(text):
            return ExtractedText(without_data(fenced(text, "json")), "")
        title = next((value[name] for name in _TITLES if name in value), "") if isinstance(value, dict) else ""
        shown = "\n".join(_json_lines(value, 0))
    except RecursionError:
        raise Refused("JSON nested too deep to read. Write it flatter.") from None
    return ExtractedText(without_data(shown), title if isinstance(title, str) else "")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _strings(child)


def _prose(strings: Iterable[str]) -> int:
    return sum(len(string) for string in strings if _SENTENCE.search(string))


def _json_lines(value: Any, depth: int) -> Iterator[str]:
    """An item a value, behind its key; texts of several lines below their key."""
    entries = value.items() if isinstance(value, dict) else [("", child) for child in value]
    for key, child in entries if isinstance(value, dict | list) else [("", value)]:
        if isinstance(child, dict | list):
            if key:
                yield f"\n**{key}**\n"
            yield from _json_lines(child, depth + 1)
            yield ""
        elif child is not None and child != "":
            shown = child if isinstance(child, str) else json.dumps(child)
            label = f"{key}: " if key else ""
            yield f"\n{label}\n\n{shown.strip()}\n" if "\n" in shown else f"- {label}{shown}"


def read_xml(text: str) -> ExtractedText:
    """A document where it holds prose; else, or where it is no valid XML, the file as code."""
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    code = ExtractedText(without_data(fenced(text, "xml")), "")
    try:
        root = ElementTree.fromstring(re.sub(r"\A\s*<\?xml[^>]*\?>", "", text))
    except (ElementTree.ParseError, DefusedXmlException, ValueError, RecursionError):
        return code
    paragraphs = list(_paragraphs(root, 1))
    if _prose(paragraphs) < _MIN_PROSE_SHARE_OF_XML * len(text):
        return code
    titles = (element for element in root.iter() if _local(element.tag) in _TITLES)
    title = next((words for element in titles if (words := " ".join("".join(element.itertext()).split()))), "")
    return ExtractedText(without_data("\n\n".join(paragraphs)), title)


def _local(tag: Any) -> str:
    return str(tag).rpartition("}")[2].lower()


def _paragraphs(element: Any, level: int) -> Iterator[str]:
    """An element with text of its own is a paragraph with all in it; a title is a heading of its depth."""
    is_mixed = bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)
    if is_mixed or not len(element):
        words = " ".join("".join(element.itertext()).split())
        if "<" in words and ">" in words:  # HTML in a feed
            words = _from_html(words)
        if words:
            yield f"{'#' * min(level, 6)} {words}" if _local(element.tag) in ("title", "headline") else words
        return
    for child in element:
        yield from _paragraphs(child, level + (_local(child.tag) not in ("title", "headline")))


def _from_html(html: str) -> str:
    from spark_jobs.formats.html import html_to_markdown

    return html_to_markdown(html)[1]


FORMATS = (
    text_format("JSON", (".json", ".geojson", ".webmanifest"), read_json, ("application/json",)),
    Format(
        "XML",
        (".xml", ".xsd", ".rss", ".atom", ".dita", ".docbook", ".fb2"),
        text_file_reader(read_xml, is_markup=True),
        is_text=True,
        parsers=("defusedxml.ElementTree", "bs4", "markdownify"),
        media_types=("application/xml", "text/xml", "application/rss+xml", "application/atom+xml"),
    ),
)
