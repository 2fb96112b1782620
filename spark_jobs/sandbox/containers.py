"""The documents that a file may hold: the file itself, and the members of containers in it, however deep.

Runs in the converting process. Each document is handed on unread and read under its own limits, so a bad document
costs only itself. The order never changes: after a crash, reading resumes with the next document.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import IO
from urllib.parse import quote

from spark_jobs.formats.container import TIMES_A_FILE, ContainerBudget
from spark_jobs.formats.document import MAX_ID_CHARACTERS, ParsedDocument, ParseLimits, Refused, too_large
from spark_jobs.formats.format import Format
from spark_jobs.formats.registry import format_of, read_document

MAX_DEPTH = 3


@dataclass(frozen=True)
class PendingDocument:
    """A document that is still to be read. `read` raises `Refused` where the bytes are no document."""

    doc_id: str
    uri: str
    read: Callable[[], ParsedDocument] = field(repr=False)


def pending_documents(
    doc_id: str, uri: str, file: IO[bytes], limits: ParseLimits, prepare: Callable[[Format], None]
) -> Iterator[PendingDocument]:
    """All documents of a file in their order. A member is inflated when its turn comes.

    `prepare` is called with the format of each document and container before it is read.
    """
    walk = _Walk(limits, prepare, ContainerBudget(TIMES_A_FILE * limits.file_bytes))
    yield from _pending(doc_id, uri, file, walk, depth=0)


@dataclass(frozen=True)
class _Walk:
    limits: ParseLimits
    prepare: Callable[[Format], None]
    budget: ContainerBudget


def _pending(doc_id: str, uri: str, file: IO[bytes], walk: _Walk, depth: int) -> Iterator[PendingDocument]:
    file_format = format_of(doc_id)
    if file_format is not None:
        walk.prepare(file_format)
    try:
        _check_place(doc_id, depth)
        if file_format is None or file_format.read is not None:
            yield PendingDocument(doc_id, uri, partial(_read, doc_id, uri, file, walk.limits))
        if file_format is None or file_format.members is None:
            return
        for member in file_format.members(file, walk.limits, walk.budget):
            inner_id, inner_uri = _inside(doc_id, uri, member.name)
            try:
                content = member.read()
            except Refused as refused:
                yield _refused(inner_id, inner_uri, str(refused))
            else:
                yield from _pending(inner_id, inner_uri, io.BytesIO(content), walk, depth + 1)
    except Refused as refused:
        yield _refused(doc_id, uri, str(refused))
    except (OSError, ValueError, LookupError) as error:  # of a parser, while it looks for members
        suffix = PurePosixPath(doc_id).suffix.lower()
        yield _refused(doc_id, uri, f"damaged: no valid {suffix} file ({error}). Get a whole copy, or save it anew.")


def _check_place(doc_id: str, depth: int) -> None:
    if len(doc_id) > MAX_ID_CHARACTERS:
        raise Refused(f"its path has {len(doc_id)} characters, at most {MAX_ID_CHARACTERS} are allowed. Shorten it.")
    if depth > MAX_DEPTH:
        raise Refused(f"nested deeper than {MAX_DEPTH} archives or mails. Unpack it, and ingest what it holds.")


def _read(doc_id: str, uri: str, file: IO[bytes], limits: ParseLimits) -> ParsedDocument:
    document = read_document(doc_id, uri, file, limits)
    size = len(document.text.encode())
    if size > limits.document_bytes:  # a converted text may be many times as large as its file
        raise Refused(too_large(size, limits.document_bytes))
    return document


def _inside(doc_id: str, uri: str, name: str) -> tuple[str, str]:
    """Id and address of a file within a file: `a.zip/b/c.md`, `file:///…/a.zip#b/c.md`."""
    return f"{doc_id}/{name}", f"{uri}{'/' if '#' in uri else '#'}{quote(name)}"


def _refused(doc_id: str, uri: str, reason: str) -> PendingDocument:
    def read() -> ParsedDocument:
        raise Refused(reason)

    return PendingDocument(doc_id, uri, read)
