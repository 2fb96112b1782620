"""Files of text: checked and decoded here, then converted by the reader of their format."""

import io
import re
from collections.abc import Callable
from typing import IO

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused, too_large
from spark_jobs.formats.encodings import declared_in_markup, decode
from spark_jobs.formats.format import FileReader, Format

_GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# A picture of some kilobytes in base64 would become hundreds of chunks. A short one is an example in a text.
_DATA_URI = re.compile(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w.+=-]+)*,)[\w%+/=-]{64,}")


def read_text(text: str) -> ExtractedText:
    """Plain text as it is; its title is the name of the file."""
    return ExtractedText(text, "")


def without_data(text: str) -> str:
    """The text without the content of its `data:` addresses; their type stays: `data:image/png;base64,…`."""
    return _DATA_URI.sub(r"\1…", text) if "data:" in text else text


def text_file_reader(convert: Callable[[str], ExtractedText], is_markup: bool = False) -> FileReader:
    """A reader of files from a function that converts their text. `is_markup`: the text may declare its charset."""

    def read(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
        content = read_bytes(file, limits)
        return convert(decode(content, declared_in_markup(content) if is_markup else None))

    return read


def read_bytes(file: IO[bytes], limits: ParseLimits) -> bytes:
    """All bytes of a text file. Raises `Refused` for too many, and for a file that stands for another one."""
    content = file.read(limits.document_bytes + 1)
    if len(content) > limits.document_bytes:
        raise Refused(too_large(file.seek(0, io.SEEK_END), limits.document_bytes))
    if content.startswith(_GIT_LFS_POINTER):
        raise Refused("a Git LFS pointer: the file itself is not here. Run `git lfs pull`, and ingest again.")
    return content


def text_format(
    name: str,
    suffixes: tuple[str, ...],
    convert: Callable[[str], ExtractedText],
    media_types: tuple[str, ...] = (),
    is_markup: bool = False,
) -> Format:
    """A format that the Spark worker reads itself: `convert` cannot hang, and needs little memory."""
    reader = text_file_reader(convert, is_markup)
    return Format(name, suffixes, reader, is_text=True, is_sandboxed=False, media_types=media_types)


FORMATS = (text_format("text", (".txt", ".text", ".log", ""), read_text, ("text/plain",)),)
