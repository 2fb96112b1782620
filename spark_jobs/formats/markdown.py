"""Markdown files: what their front matter says, their HTML tables as lists, pictures without their data."""

from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import yaml

from spark_jobs.formats.document import ExtractedText
from spark_jobs.formats.markdown_blocks import first_heading, front_matter
from spark_jobs.formats.text import text_format, without_data

_DATES = ("updated", "updated_at", "last_modified_at", "lastmod", "last_updated", "modified", "date")
_MAX_FRONT_MATTER = 20_000  # characters; some thousand lines of nested YAML take a second


def read_markdown(text: str) -> ExtractedText:
    text = without_data(text)
    values = _front_matter_values(text)
    if "<table" in text.lower():
        from spark_jobs.formats.html_tables import tables_as_lists  # few files need its parser

        text = tables_as_lists(text)
    return ExtractedText(text, None, _updated_at(values), _names(values.get("author") or values.get("authors")))


def markdown_title(text: str) -> str | None:
    """The title in the front matter, else the first heading; None when there is neither."""
    return _names(_front_matter_values(text).get("title")) or first_heading(text)


def _front_matter_values(text: str) -> dict[str, Any]:
    """The values of the front matter; none of YAML that is broken, which stays in the text."""
    yaml_text = front_matter(text)
    if not yaml_text or len(yaml_text) > _MAX_FRONT_MATTER:
        return {}
    try:
        values = yaml.load("\n".join(yaml_text.strip().splitlines()[1:-1]), Loader=_loader())  # noqa: S506  a safe one
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError, KeyError, AttributeError):
        return {}
    return {str(name).lower(): value for name, value in values.items()} if isinstance(values, dict) else {}


@cache
def _loader() -> type[yaml.SafeLoader]:
    """YAML without anchors: a few lines of them grow to gigabytes."""

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise yaml.YAMLError("an alias")
            return super().compose_node(parent, index)

    return Loader


def _names(value: Any) -> str | None:
    """A string, a number or a date as it is; of a list or of an object with a name, the names."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_names, value))) or None
    if isinstance(value, dict):
        return _names(value.get("name"))
    return " ".join(str(value).split()) or None if isinstance(value, str | int | float | date) else None


def _updated_at(values: dict[str, Any]) -> datetime | None:
    """The day or moment of the last change, in UTC; a value that is no date is left to the text."""
    value = next((values[name] for name in _DATES if values.get(name)), None)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, date) and not isinstance(moment, datetime):
            moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
        if not isinstance(moment, datetime):
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


FORMATS = (
    text_format("Markdown", (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd"), read_markdown, ("text/markdown",)),
)
