"""Files of UTF-8 text: checked and decoded here, then converted by the reader of their format."""

import io
from collections.abc import Callable
from typing import IO

from spark_jobs.formats.document import ExtractedText, ParseLimits, Refused, too_large
from spark_jobs.formats.format import FileReader, Format

_BINARY_PROBE_BYTES = 8192
_GIT_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def read_text(text: str) -> ExtractedText:
    """Plain text as it is; its title is the name of the file."""
    return ExtractedText(text, "")


def text_file_reader(convert: Callable[[str], ExtractedText]) -> FileReader:
    """A reader of files from a function that converts their text."""

    def read(file: IO[bytes], limits: ParseLimits) -> ExtractedText:
        content = file.read(limits.document_bytes + 1)
        if len(content) > limits.document_bytes:
            raise Refused(too_large(file.seek(0, io.SEEK_END), limits.document_bytes))
        if b"\0" in content[:_BINARY_PROBE_BYTES]:
            raise Refused("binary file: holds NUL bytes, must be text. Convert it to Markdown, text or HTML.")
        if content.startswith(_GIT_LFS_POINTER):
            raise Refused("a Git LFS pointer: the file itself is not here. Run `git lfs pull`, and ingest again.")
        return convert(decode_utf8(content))

    return read


def decode_utf8(content: bytes) -> str:
    """Text of UTF-8 bytes, without a byte order mark. `Refused` for any other encoding."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(
            f"invalid UTF-8: byte {content[error.start]:#04x} at offset {error.start}. Save it as UTF-8."
        ) from None


def text_format(
    name: str, suffixes: tuple[str, ...], convert: Callable[[str], ExtractedText], media_types: tuple[str, ...] = ()
) -> Format:
    """A format that the Spark worker reads itself: `convert` cannot hang, and needs little memory."""
    reader = text_file_reader(convert)
    return Format(name, suffixes, reader, is_text=True, is_sandboxed=False, media_types=media_types)


FORMATS = (text_format("text", (".txt", ""), read_text, ("text/plain",)),)
