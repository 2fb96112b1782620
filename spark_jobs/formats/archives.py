"""ZIP archives: their members, each inflated only when it is read."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import IO

from spark_jobs.formats.container import ContainerBudget, Member
from spark_jobs.formats.document import ParseLimits, Refused
from spark_jobs.formats.format import Format

_MAX_RATIO = 200
_RATIO_FROM_BYTES = 1_000_000  # a small file of blanks deflates as well as a bomb


def zip_members(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """Members in the order of the archive. Raises `Refused` for a damaged archive, or a larger one than the budget."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise Refused(f"damaged: no valid ZIP file ({error}). Get a whole copy.") from None
    with archive:
        entries = [entry for entry in archive.infolist() if not _is_skipped(entry)]
        budget.spend(len(entries), sum(entry.file_size for entry in entries))
        for entry in entries:
            name = entry.filename.replace("\\", "/")
            yield Member(name, partial(_inflate, archive, entry, name, limits))


def _is_skipped(entry: zipfile.ZipInfo) -> bool:
    """Skip folders, hidden files as in a folder on disk, and the `__MACOSX` folder of macOS."""
    parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
    is_hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return entry.is_dir() or is_hidden or "__MACOSX" in parts


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, limits: ParseLimits) -> bytes:
    _check_entry(entry, name, limits)
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError, zlib.error) as error:
        raise Refused(f"damaged: cannot be unpacked ({error}). Pack it again.") from None


def _check_entry(entry: zipfile.ZipInfo, name: str, limits: ParseLimits) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        raise Refused(f"its name {name!r} leads out of the archive. Pack it again with names below one folder.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Refused("a link in an archive. Pack the file itself.")
    if entry.flag_bits & 1:
        raise Refused("encrypted: this member of the archive is under a password. Pack it without one.")
    if entry.file_size > limits.file_bytes:
        raise Refused(
            f"oversize: {entry.file_size:,} bytes inflated, at most {limits.file_bytes:,} are allowed. "
            "Split it, or raise LAKEHOP_FILE_MAX_BYTES."
        )
    if entry.file_size > max(_RATIO_FROM_BYTES, _MAX_RATIO * entry.compress_size):
        ratio = entry.file_size // max(1, entry.compress_size)
        raise Refused(f"zip bomb: it inflates {ratio} times, at most {_MAX_RATIO} are allowed. Remove it.")


FORMATS = (Format("archive", (".zip",), read=None, members=zip_members),)
