"""An opened file in, its documents and rejections out: decides what is read here and what in the converting process.

Text and Markdown are read here, for nothing in them can hang or swell. HTML and all formats that need a parser go to
`spark_jobs.sandbox.converter`. A file is never read beyond what it may have.
"""

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import IO

from spark_jobs.formats.markdown import CONVERTED_SUFFIXES
from spark_jobs.formats.parsing import (
    EXCERPT_CHARACTERS,
    MAX_ID_CHARACTERS,
    Document,
    Limits,
    Rejection,
    excerpt,
    parse_file,
    refusal,
    too_large,
)
from spark_jobs.sandbox.converter import Converter

_PARSED_APART = (".html", ".htm")


def read_path(doc_id: str, uri: str, path: str, limits: Limits) -> Iterator[Document | Rejection]:
    """Everything in a local file; it is opened once, without waiting and without following a link at its end."""
    try:
        with open(path, "rb", opener=_opened_as_listed) as opened:
            yield from read_file(doc_id, uri, opened, limits)
    except OSError as error:
        if error.errno == errno.ELOOP:
            yield refusal("became a link since the folder was listed. Put the file itself there.", doc_id)
        else:
            yield refusal(f"cannot be read: {error.strerror}. Make it readable.", doc_id)


def _opened_as_listed(path: str, flags: int) -> int:
    """The listing judged every link and named where it leads: one that is there now came later."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_bytes(doc_id: str, uri: str, content: bytes, limits: Limits) -> Iterator[Document | Rejection]:
    """Everything in a file that came over the network."""
    if not needs_converting(doc_id):
        yield from read_file(doc_id, uri, io.BytesIO(content), limits)
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield from read_file(doc_id, uri, file, limits)


def needs_converting(doc_id: str) -> bool:
    return PurePosixPath(doc_id).suffix.lower() in (*CONVERTED_SUFFIXES, *_PARSED_APART)


def max_bytes(doc_id: str, limits: Limits) -> int:
    """How large a file of that name may be."""
    return limits.file_bytes if PurePosixPath(doc_id).suffix.lower() in CONVERTED_SUFFIXES else limits.document_bytes


def size_refusal(doc_id: str, size: int, limits: Limits, start: bytes = b"") -> Rejection:
    """Why a file of that size is refused; `start`: its first bytes, to show."""
    most = max_bytes(doc_id, limits)
    is_text = most == limits.document_bytes
    reason = too_large(size, most) if is_text else too_large(size, most, "LAKEHOP_FILE_MAX_BYTES")
    return refusal(reason, doc_id, excerpt(start))


def read_file(doc_id: str, uri: str, file: IO[bytes], limits: Limits) -> Iterator[Document | Rejection]:
    """Everything in an open file. One that needs converting must have a file descriptor."""
    if len(doc_id) > MAX_ID_CHARACTERS:
        shown = f"{doc_id[:40]!r}… has {len(doc_id)} characters: at most {MAX_ID_CHARACTERS} are allowed"
        yield Rejection(f"its path {shown}. Move it to a shorter one.")
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > max_bytes(doc_id, limits):
        yield size_refusal(doc_id, size, limits, file.read(4 * EXCERPT_CHARACTERS))
    elif needs_converting(doc_id):
        yield from _converter(limits).convert(doc_id, uri, file)
    else:
        yield parse_file(doc_id, uri, file.read(limits.document_bytes))


@cache
def _converter(limits: Limits) -> Converter:
    """One for this Spark worker, started when it is first needed."""
    return Converter(limits)
