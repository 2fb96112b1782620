"""A line of JSONL or a row of a table as a document, or the reason why it was refused. Nothing here raises."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from lakehouse.access.permissions import canonical_groups
from lakehouse.errors import InvalidInput
from spark_jobs.formats.document import (
    EXCERPT_CHARACTERS,
    MAX_ID_CHARACTERS,
    ParsedDocument,
    Refused,
    Rejection,
    clean_author,
    clean_title,
    clean_type,
    excerpt,
    too_large,
)
from spark_jobs.formats.markdown import markdown_title

RECORD = "record"
"""The type of a line or row that names none."""


def parse_line(line: bytes, uri: str, max_bytes: int) -> ParsedDocument | Rejection:
    """A line of JSONL: an object with `id` and `text`, optionally `title`, `uri`, `groups`, `updated_at` and more."""
    values: Any = None
    try:
        try:
            values = json.loads(_utf8(line))
        except RecursionError:
            raise Refused("invalid JSON: nested too deep. Write one flat object a line.") from None
        except ValueError as error:
            raise Refused(f"invalid JSON: {error}. Write one object a line, with id and text.") from None
        if not isinstance(values, dict):
            raise Refused(
                f"a line must be a JSON object with id and text, this is a {_json_type(values)}. Wrap it in one."
            )
        return _document(values, uri, max_bytes)
    except Refused as refused:
        known_id = values.get("id") if isinstance(values, dict) else _salvaged_id(line)
        return Rejection(str(refused), _usable_id(known_id), excerpt(line))


def too_large_line(start: bytes, size: int, max_bytes: int) -> Rejection:
    """The rejection of a line that is too long to be read; `start` may hold its id."""
    return Rejection(too_large(size, max_bytes), _usable_id(_salvaged_id(start)), excerpt(start))


def parse_row(values: Mapping[str, Any], uri: str, max_bytes: int) -> ParsedDocument | Rejection:
    """A row of a table with the columns of a JSONL line; NULL is the same as no value."""
    try:
        return _document(values, uri, max_bytes)
    except Refused as refused:
        start = str(values.get("text") or "")[:EXCERPT_CHARACTERS]
        return Rejection(str(refused), _usable_id(values.get("id")), excerpt(start.encode(errors="replace")))


def _utf8(line: bytes) -> str:
    """JSON Lines are UTF-8 by their standard; a line is too short to tell another encoding."""
    if b"\0" in line:
        raise Refused("a line in UTF-16 or binary (it holds NUL bytes). Save the file as UTF-8.")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            f"invalid UTF-8: byte {line[error.start]:#04x} at offset {error.start}. Save the file as UTF-8."
        ) from None


def _document(values: Mapping[str, Any], uri: str, max_bytes: int) -> ParsedDocument:
    doc_id = _id(values.get("id"))
    text = values.get("text")
    if text is None:
        raise Refused("text is missing: a document needs some. Add a string `text`.")
    if not isinstance(text, str):
        raise Refused(f"text must be a string, this is a {_json_type(text)}. Put the document's text there.")
    if not text.strip():
        raise Refused("empty text: a document needs some. Add it, or leave the document out.")
    if (size := len(_encode("text", text))) > max_bytes:
        raise Refused(too_large(size, max_bytes))
    title = _optional_string(values, "title")
    own_uri = _optional_string(values, "uri").strip()
    return ParsedDocument(
        doc_id=doc_id,
        title=clean_title(title or markdown_title(text) or "", fallback=doc_id),
        text=text,
        uri=own_uri or f"{uri}#{quote(doc_id, safe='')}",
        acl_groups=_groups(values.get("groups")),
        updated_at=_updated_at(values.get("updated_at")),
        document_type=_plain(values.get("document_type"), clean_type) or RECORD,
        author=_plain(values.get("author"), clean_author),
    )


def _id(value: Any) -> str:
    if value is None:
        raise Refused("id is missing: every document needs one that stays the same. Add a string `id`.")
    if not isinstance(value, str):
        raise Refused(f"id {_printed(value)}: must be a string, this is a {_json_type(value)}. Put it in quotes.")
    if not value.strip():
        raise Refused(f"id {value!r}: must not be empty. Give the document an id that stays the same.")
    if len(value) > MAX_ID_CHARACTERS:
        raise Refused(
            f"id {value[:40]!r}… has {len(value)} characters: at most {MAX_ID_CHARACTERS} are allowed. Shorten it."
        )
    _encode("id", value)
    return value


def _usable_id(value: Any) -> str | None:
    """The id of a refused line, so that a snapshot keeps its document. The document of id 7 may be known as `"7"`."""
    try:
        return _id(str(value) if type(value) is int else value)
    except Refused:
        return None


def _salvaged_id(line: bytes) -> Any:
    """The id of a line that is broken behind it, so that a snapshot does not delete its document."""
    marker = line.find(b'"id"')
    if marker < 0:
        return None
    rest = line[marker + 4 : marker + 5000].decode(errors="replace").lstrip()
    try:
        return json.JSONDecoder().raw_decode(rest.removeprefix(":").lstrip())[0]
    except ValueError:
        return None


def _optional_string(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"{name} {_printed(value)}: must be a string, this is a {_json_type(value)}. Put it in quotes.")
    _encode(name, value)
    return value


def _groups(value: Any) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise Refused(f'groups {_printed(value)}: must be a list of strings, e.g. ["hr", "legal"]. Write it so.')
    try:
        names = canonical_groups(value)
    except InvalidInput as error:
        raise Refused(str(error)) from None
    if value and not names:  # blank names were meant to restrict access; an empty list opens it to the tenant
        raise Refused(f"groups {_printed(value)}: no name in it. Name groups, or write [] for all of the tenant.")
    return list(names)


def _plain(value: Any, clean: Callable[[str], str | None]) -> str | None:
    """A text, or several as one; None for anything else: a field of another meaning may have the same name."""
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        return None
    return clean(", ".join(texts).encode(errors="replace").decode())


def _updated_at(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise Refused(
                f"updated_at {_printed(value)}: must be ISO 8601, e.g. '2026-11-05T09:30:00Z'. Write it so."
            ) from None
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise Refused(f"updated_at {_printed(value)}: outside the years 1 to 9999 in UTC. Correct it.") from None


def _encode(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            f"{name} holds half a character (\\u{ord(value[error.start]):04x}), which is not Unicode text. "
            "Write the whole surrogate pair."
        ) from None


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _printed(value: Any) -> str:
    text = repr(value)
    return (text if len(text) <= 80 else text[:80] + "…").encode(errors="backslashreplace").decode()
