"""What reading a file, line or row gives: a document, or the reason why the input was refused.

Another person reads the reason later in `bronze.quarantine`, beside thousands of others. So each reason names the
value, what is allowed and the next step.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

MAX_ID_CHARACTERS = 1024
MAX_TITLE_CHARACTERS = 1000
MAX_AUTHOR_CHARACTERS = 500
MAX_TYPE_CHARACTERS = 50
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class ParseLimits:
    """The most that one document may hold, and the most that reading it may cost."""

    document_bytes: int  # of text, and of a text file
    file_bytes: int  # of a file in any other format, before it is converted
    seconds: float  # to convert one document
    memory_mb: int
    languages: tuple[str, ...] = ()  # ISO 639-1; empty: any


@dataclass(frozen=True)
class ParsedDocument:
    """A document as `bronze.documents` keeps it. `acl_groups` None: the groups of the run (`--groups`) apply."""

    doc_id: str
    title: str
    text: str
    uri: str
    acl_groups: list[str] | None = None
    updated_at: datetime | None = None
    document_type: str | None = None  # the usual suffix without its dot, e.g. `md`
    author: str | None = None

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(f"{self.title}\0{self.text}".encode()).hexdigest()


@dataclass(frozen=True)
class Rejection:
    """Why an input was refused. `doc_id` None: the input has no id, or its id cannot be read.

    `covers` is a prefix of ids. Documents with such ids may be in the refused input, so a snapshot keeps them.
    """

    reason: str
    doc_id: str | None = None
    excerpt: str | None = None
    covers: str | None = None
    uri: str | None = None  # of the refused bytes, where they are only a part of the file


class Refused(Exception):
    """Ends the reading of one document; the message is the reason."""


class ExtractedText(NamedTuple):
    """What a format's reader returns. `title` None: use the text's own title; empty: use the name of the file."""

    text: str
    title: str | None = None
    updated_at: datetime | None = None
    author: str | None = None  # as the file's own properties or headers name it


def clean_title(title: str, fallback: str) -> str:
    """The title on one line, at most `MAX_TITLE_CHARACTERS` long; `fallback` where nothing is left."""
    return " ".join(title.split())[:MAX_TITLE_CHARACTERS] or fallback


def clean_author(author: str | None) -> str | None:
    """The author on one line, at most `MAX_AUTHOR_CHARACTERS` long; None where nothing is left."""
    return " ".join((author or "").split())[:MAX_AUTHOR_CHARACTERS].rstrip() or None


def clean_type(name: str | None) -> str | None:
    """A type of documents as filters compare it: lower case, without a dot before it; None where nothing is left."""
    return (name or "").strip().lower().removeprefix(".")[:MAX_TYPE_CHARACTERS] or None


def too_large(size: int, max_bytes: int, setting: str = "LAKEHOP_DOCUMENT_MAX_BYTES") -> str:
    """The reason to refuse a document of `size` bytes."""
    return f"oversize: {size:,} bytes, at most {max_bytes:,} are allowed. Split the document, or raise {setting}."


def excerpt(content: bytes) -> str | None:
    """The first characters, undecodable bytes as \\xNN; None for no content."""
    return content[: 4 * EXCERPT_CHARACTERS].decode(errors="backslashreplace")[:EXCERPT_CHARACTERS] or None
