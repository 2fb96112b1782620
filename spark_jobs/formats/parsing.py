"""One line, row or file in; one document or the reason why it is none out. No Spark here, and nothing raises.

What is refused is as much a result as what is taken: the reason names the value, what is allowed and what to do,
for somebody else reads it later in `bronze.quarantine`, beside thousands of others.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from lakehouse.access.permissions import canonical_groups
from lakehouse.errors import InvalidInput
from spark_jobs.formats.markdown import CONVERTED_SUFFIXES, TEXT_SUFFIXES, file_to_markdown, markdown_title

MAX_ID_CHARACTERS = 1024
MAX_TITLE_CHARACTERS = 1000
EXCERPT_CHARACTERS = 200
_BINARY_PROBE_BYTES = 8192
_OWN_PATH = (".jsonl", ".ndjson", ".parquet")
_GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
CONTAINERS = (".zip", ".eml", ".msg")
"""Files that hold other files; `a.zip/b.md` is the id of the document that `b.md` within `a.zip` becomes."""


@dataclass(frozen=True)
class Limits:
    """What one document may be and cost; what is beyond is refused with the limit as its reason."""

    document_bytes: int  # of text, and of a text file
    file_bytes: int  # of a file that has to be converted, before it is
    seconds: float  # of one conversion
    memory_mb: int
    languages: tuple[str, ...] = ()  # ISO 639-1; empty: any


@dataclass(frozen=True)
class Document:
    """What `bronze.documents` keeps of a document, but for whose it is; `acl_groups` None: the run's `--groups`."""

    doc_id: str
    title: str
    text: str
    uri: str
    acl_groups: list[str] | None = None
    updated_at: datetime | None = None

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(f"{self.title}\0{self.text}".encode()).hexdigest()


@dataclass(frozen=True)
class Rejection:
    """Why something is no document; `doc_id` None: it has none, or it can't be told.

    `covers` is the beginning of all ids that it may hide: documents whose id begins so were not seen, and are not gone.
    """

    reason: str
    doc_id: str | None = None
    excerpt: str | None = None
    covers: str | None = None
    uri: str | None = None  # of the bytes, where they are less than the whole file


class Refused(Exception):
    """Ends the parsing of one document; its text is the reason."""


def refusal(reason: str, doc_id: str, excerpt: str | None = None, uri: str | None = None) -> Rejection:
    """Why a file is not taken in. One that may hold others covers all of theirs."""
    return Rejection(reason, doc_id, excerpt, f"{doc_id}/" if doc_id.lower().endswith(CONTAINERS) else None, uri)


def parse_line(line: bytes, uri: str, max_bytes: int) -> Document | Rejection:
    """A line of JSONL: an object with id, text, and maybe title, uri, groups, updated_at."""
    values: Any = None
    try:
        try:
            values = json.loads(decoded(line))
        except RecursionError:
            raise Refused("invalid JSON: nested too deep. Write one flat object a line.") from None
        except ValueError as error:
            raise Refused(f"invalid JSON: {error}. Write one object a line, with id and text.") from None
        if not isinstance(values, dict):
            raise Refused(f"a line must be a JSON object with id and text, this is a {_kind(values)}. Wrap it in one.")
        return _document(values, uri, max_bytes)
    except Refused as refused:
        known_id = values.get("id") if isinstance(values, dict) else _salvaged_id(line)
        return Rejection(str(refused), _usable_id(known_id), excerpt(line))


def too_large_line(start: bytes, size: int, max_bytes: int) -> Rejection:
    """A line that is too long to be read; its id may stand in its first bytes."""
    return Rejection(too_large(size, max_bytes), _usable_id(_salvaged_id(start)), excerpt(start))


def parse_row(values: Mapping[str, Any], uri: str, max_bytes: int) -> Document | Rejection:
    """A row of a table with the columns of a JSONL line; NULL means not given."""
    try:
        return _document(values, uri, max_bytes)
    except Refused as refused:
        shown = str(values.get("text") or "")[:EXCERPT_CHARACTERS]
        return Rejection(str(refused), _usable_id(values.get("id")), excerpt(shown.encode(errors="replace")))


def parse_file(doc_id: str, uri: str, content: bytes) -> Document | Rejection:
    """A file of text; `doc_id` is its path below the folder. Other kinds go to `spark_jobs.sources.files`."""
    path = PurePosixPath(doc_id)
    suffix = path.suffix.lower()
    try:
        if suffix in _OWN_PATH:
            raise Refused(f"file type {suffix!r} holds many documents. Ingest it by its own path.")
        if suffix and suffix not in TEXT_SUFFIXES:
            raise Refused(
                f"unsupported file type {suffix!r}: must be Markdown, text, reStructuredText, HTML, source code or one "
                f"of {', '.join(CONVERTED_SUFFIXES)}. Convert it to one of these, e.g. to .md."
            )
        if b"\0" in content[:_BINARY_PROBE_BYTES]:
            raise Refused("binary file: holds NUL bytes, must be text. Convert it to Markdown, text or HTML.")
        if content.startswith(_GIT_LFS_POINTER):
            raise Refused("a Git LFS pointer: the file itself is not here. Run `git lfs pull`, and ingest again.")
        try:
            title, text = file_to_markdown(path.name, suffix, decoded(content))
        except RecursionError:
            raise Refused("HTML nested too deep to read. Simplify it, or convert it to Markdown.") from None
        except ValueError as error:
            raise Refused(f"HTML that no parser accepts: {error}. Repair it, or convert it to Markdown.") from None
        return file_document(doc_id, uri, title, text)
    except Refused as refused:
        return refusal(str(refused), doc_id, excerpt(content))


def file_document(doc_id: str, uri: str, title: str, text: str, updated_at: datetime | None = None) -> Document:
    """What came of a file. `Refused` when that is nothing."""
    if not text.strip():
        raise Refused("empty text: a document needs some. Write it, or remove the file.")
    return Document(doc_id, _title(title, PurePosixPath(doc_id).name), text, uri, updated_at=updated_at)


def too_large(size: int, max_bytes: int, setting: str = "LAKEHOP_DOCUMENT_MAX_BYTES") -> str:
    """Why a document of that many bytes is refused."""
    return f"oversize: {size:,} bytes, at most {max_bytes:,} are allowed. Split the document, or raise {setting}."


def excerpt(content: bytes) -> str | None:
    """The first characters, undecodable bytes as \\xNN; None when there are none."""
    return content[: 4 * EXCERPT_CHARACTERS].decode(errors="backslashreplace")[:EXCERPT_CHARACTERS] or None


def _document(values: Mapping[str, Any], uri: str, max_bytes: int) -> Document:
    doc_id = _id(values.get("id"))
    text = values.get("text")
    if text is None:
        raise Refused("text is missing: a document needs some. Add a string `text`.")
    if not isinstance(text, str):
        raise Refused(f"text must be a string, this is a {_kind(text)}. Put the document's text there.")
    if not text.strip():
        raise Refused("empty text: a document needs some. Add it, or leave the document out.")
    if (size := len(_encodable("text", text))) > max_bytes:
        raise Refused(too_large(size, max_bytes))
    title = _optional_string(values, "title")
    given_uri = _optional_string(values, "uri").strip()
    return Document(
        doc_id=doc_id,
        title=_title(title or markdown_title(text) or "", doc_id),
        text=text,
        uri=given_uri or f"{uri}#{quote(doc_id, safe='')}",
        acl_groups=_groups(values.get("groups")),
        updated_at=_updated_at(values.get("updated_at")),
    )


def _id(value: Any) -> str:
    if value is None:
        raise Refused("id is missing: every document needs one that stays the same. Add a string `id`.")
    if not isinstance(value, str):
        raise Refused(f"id {_shown(value)}: must be a string, this is a {_kind(value)}. Put it in quotes.")
    if not value.strip():
        raise Refused(f"id {value!r}: must not be empty. Give the document an id that stays the same.")
    if len(value) > MAX_ID_CHARACTERS:
        raise Refused(
            f"id {value[:40]!r}… has {len(value)} characters: at most {MAX_ID_CHARACTERS} are allowed. Shorten it."
        )
    _encodable("id", value)
    return value


def _usable_id(value: Any) -> str | None:
    """The id of a refused document. A number may be the string that it was before; that document is not gone."""
    try:
        return _id(str(value) if type(value) is int else value)
    except Refused:
        return None


def _salvaged_id(line: bytes) -> Any:
    """The id of a line that is broken further on, so that a snapshot doesn't take its document for gone."""
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
        raise Refused(f"{name} {_shown(value)}: must be a string, this is a {_kind(value)}. Put it in quotes.")
    _encodable(name, value)
    return value


def _title(title: str, otherwise: str) -> str:
    return " ".join(title.split())[:MAX_TITLE_CHARACTERS] or otherwise


def _groups(value: Any) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(group, str) for group in value):
        raise Refused(f'groups {_shown(value)}: must be a list of strings, e.g. ["hr", "legal"]. Write it so.')
    try:
        names = canonical_groups(value)
    except InvalidInput as error:
        raise Refused(str(error)) from None
    if value and not names:  # blank names were meant to restrict; no group at all would open it to the tenant
        raise Refused(f"groups {_shown(value)}: no name in it. Name groups, or write [] for all of the tenant.")
    return list(names)


def _updated_at(value: Any) -> datetime | None:
    if value is None or isinstance(value, datetime):
        moment = value
    else:
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise Refused(
                f"updated_at {_shown(value)}: must be ISO 8601, e.g. '2026-11-05T09:30:00Z'. Write it so."
            ) from None
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise Refused(f"updated_at {_shown(value)}: outside the years 1 to 9999 in UTC. Correct it.") from None


def decoded(content: bytes) -> str:
    """Text of UTF-8 bytes, without a byte order mark. `Refused` for any other encoding."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            f"invalid UTF-8: byte {content[error.start]:#04x} at offset {error.start}. Save it as UTF-8."
        ) from None


def _encodable(name: str, value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise Refused(
            f"{name} holds half a character (\\u{ord(value[error.start]):04x}), which is not Unicode text. "
            "Write the whole surrogate pair."
        ) from None


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "number", float: "number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _shown(value: Any) -> str:
    shown = repr(value)
    return (shown if len(shown) <= 80 else shown[:80] + "…").encode(errors="backslashreplace").decode()
