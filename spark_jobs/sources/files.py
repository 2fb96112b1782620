"""One file in, its documents and rejections out. `spark_jobs.formats.registry` says where each format is read.

Plain text, Markdown and source code are read in the Spark worker. HTML and every format with a parser go to
`spark_jobs.sandbox.converter`. No file is read beyond the size that its format allows.
"""

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from typing import IO

from spark_jobs.formats.document import (
    EXCERPT_CHARACTERS,
    MAX_ID_CHARACTERS,
    ParsedDocument,
    ParseLimits,
    Rejection,
    excerpt,
    too_large,
)
from spark_jobs.formats.registry import file_rejection, format_of, max_bytes, parse_file
from spark_jobs.sandbox.converter import Converter


def read_path(doc_id: str, uri: str, path: str, limits: ParseLimits) -> Iterator[ParsedDocument | Rejection]:
    """All documents of a local file. It is opened once; a link or a pipe in its place is refused."""
    try:
        with open(path, "rb", opener=_open_as_listed) as opened:
            yield from read_file(doc_id, uri, opened, limits)
    except OSError as error:
        if error.errno == errno.ELOOP:
            yield file_rejection("became a link since the folder was listed. Put the file itself there.", doc_id)
        else:
            yield file_rejection(f"cannot be read: {error.strerror}. Make it readable.", doc_id)


def _open_as_listed(path: str, flags: int) -> int:
    """The listing resolved all links: a link that is there now was put there later, and is not followed."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def read_bytes(doc_id: str, uri: str, content: bytes, limits: ParseLimits) -> Iterator[ParsedDocument | Rejection]:
    """All documents of a file that came over the network."""
    if not needs_sandbox(doc_id):
        yield from read_file(doc_id, uri, io.BytesIO(content), limits)
        return
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield from read_file(doc_id, uri, file, limits)


def needs_sandbox(doc_id: str) -> bool:
    """Whether a file of that name is read in the converting process."""
    file_format = format_of(doc_id)
    return file_format is not None and file_format.is_sandboxed


def size_rejection(doc_id: str, size: int, limits: ParseLimits, start: bytes = b"") -> Rejection:
    """The rejection of a file that is too large; `start` holds its first bytes, for the excerpt."""
    maximum = max_bytes(doc_id, limits)
    is_text = maximum == limits.document_bytes
    reason = too_large(size, maximum) if is_text else too_large(size, maximum, "LAKEHOP_FILE_MAX_BYTES")
    return file_rejection(reason, doc_id, excerpt(start))


def read_file(doc_id: str, uri: str, file: IO[bytes], limits: ParseLimits) -> Iterator[ParsedDocument | Rejection]:
    """All documents of an open file. A file for the sandbox needs a file descriptor."""
    if len(doc_id) > MAX_ID_CHARACTERS:
        yield Rejection(
            f"its path {doc_id[:40]!r}… has {len(doc_id)} characters: at most {MAX_ID_CHARACTERS} are allowed. "
            "Move it to a shorter one."
        )
        return
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size > max_bytes(doc_id, limits):
        yield size_rejection(doc_id, size, limits, file.read(4 * EXCERPT_CHARACTERS))
    elif needs_sandbox(doc_id):
        yield from converter_of_this_worker(limits).convert(doc_id, uri, file)
    else:
        yield parse_file(doc_id, uri, file, limits)


@cache
def converter_of_this_worker(limits: ParseLimits) -> Converter:
    """The converting process of this Spark worker; it starts with the first file that needs it."""
    return Converter(limits)
