"""Archives (ZIP, tar, 7z): their members, under the same checks of names, sizes and ratios for all of them."""

import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any

from spark_jobs.formats.container import ContainerBudget, Member
from spark_jobs.formats.document import ParseLimits, Refused
from spark_jobs.formats.encodings import decode
from spark_jobs.formats.format import Format

_MAX_RATIO = 200
_RATIO_FROM_BYTES = 1_000_000  # a small file of blanks deflates as well as a bomb
_UTF8_NAME = 0x800  # flag of a ZIP entry


def zip_members(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """Members in the order of the archive. Raises `Refused` for a damaged archive, or a larger one than the budget."""
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        raise Refused(f"damaged: no valid ZIP file ({error}). Get a whole copy.") from None
    with archive:
        entries = archive.infolist()
        named = zip(entries, _zip_names(entries), strict=True)
        kept = [(entry, name) for entry, name in named if not entry.is_dir() and not _is_skipped(name)]
        budget.spend(len(kept), sum(entry.file_size for entry, _ in kept))
        for entry, name in kept:
            yield Member(name, partial(_inflate, archive, entry, name, limits))


def _zip_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Names with `/` between folders. Names without the mark of UTF-8 are in the charset of the packer's machine."""
    names = [entry.filename for entry in entries]
    unmarked = [number for number, entry in enumerate(entries) if not entry.flag_bits & _UTF8_NAME]
    packed = b"\n".join(names[number].encode("cp437", errors="replace") for number in unmarked)
    if not packed.isascii():
        try:
            text = decode(packed)
        except Refused:
            text = ""
        # of a Western machine it was the charset of its console, which `zipfile` has used, unless only letters come out
        is_western = text == packed.decode("cp1252", errors="replace")
        if not is_western or all(character.isalpha() for character in text if character > "\x7f"):
            for number, name in zip(unmarked, text.split("\n") if text else [], strict=False):
                names[number] = name
    return [name.replace("\\", "/") for name in names]


def tar_members(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """Members of a tar archive, plain or compressed by gzip, bzip2 or xz, inflated one after the other."""
    packed_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    inflated = 0
    try:
        with tarfile.open(fileobj=file, mode="r:*") as archive:
            for entry in archive:
                name = _text(entry.name).removeprefix("./")
                inflated += entry.size
                if entry.isdir() or _is_skipped(name):
                    budget.spend(0, entry.size)
                    continue
                budget.spend(1, entry.size)
                _check_ratio(inflated, packed_bytes)
                yield Member(name, partial(_read_tar, archive, entry, name, limits))
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        cause = str(error).partition("\n")[0].rstrip(":")
        raise Refused(
            f"damaged: no valid tar archive ({cause}). Get a whole copy, or ingest the file that is compressed."
        ) from None


def _read_tar(archive: tarfile.TarFile, entry: tarfile.TarInfo, name: str, limits: ParseLimits) -> bytes:
    _check_name(name)
    if not entry.isfile():
        raise Refused("a link or a device in an archive. Pack the file itself.")
    _check_size(entry.size, limits)
    opened = archive.extractfile(entry)
    assert opened
    return opened.read()


def seven_zip_members(file: IO[bytes], limits: ParseLimits, budget: ContainerBudget) -> Iterator[Member]:
    """Members of a 7z archive. Its files are compressed as one, so all are inflated before the first is read."""
    import py7zr

    packed_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        with py7zr.SevenZipFile(file) as archive:
            if archive.needs_password():
                raise Refused("encrypted: the archive is under a password. Pack it without one.")
            entries = [entry for entry in archive.list() if not entry.is_directory and not _is_skipped(entry.filename)]
            inflated = sum(entry.uncompressed for entry in archive.list())
            budget.spend(len(entries), inflated)
            _check_ratio(inflated, packed_bytes)
            factory = py7zr.io.BytesIOFactory(max(limits.file_bytes, inflated))
            safe = [entry.filename for entry in entries if entry.is_file and not _unsafe(entry.filename)]
            archive.extract(targets=safe, factory=factory)
    except (py7zr.Bad7zFile, py7zr.PasswordRequired) as error:
        is_locked = isinstance(error, py7zr.PasswordRequired)
        kind = "encrypted: the archive is under a password. Pack it without one."
        raise Refused(kind if is_locked else f"damaged: no valid 7z file ({error}). Get a whole copy.") from None
    except (py7zr.UnsupportedCompressionMethodError, EOFError, lzma.LZMAError) as error:
        raise Refused(f"damaged: cannot be unpacked ({error}). Pack it again, as ZIP.") from None
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        yield Member(name, partial(_unpacked, factory.products.get(entry.filename), name, entry, limits))


def _unpacked(content: Any, name: str, entry: Any, limits: ParseLimits) -> bytes:
    _check_name(name)
    _check_size(entry.uncompressed, limits)
    if content is None:
        raise Refused("a link or a device in an archive. Pack the file itself.")
    content.seek(0)
    return content.read()


def _is_skipped(name: str) -> bool:
    """Skip hidden files as in a folder on disk, and the `__MACOSX` folder of macOS."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts)


def _text(name: str) -> str:
    """A name of a tar archive; Python marks bytes that are no UTF-8."""
    try:
        return decode(name.encode(errors="surrogateescape"))
    except Refused:
        return name.encode(errors="surrogateescape").decode("latin-1")


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, limits: ParseLimits) -> bytes:
    _check_name(name)
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Refused("a link in an archive. Pack the file itself.")
    if entry.flag_bits & 1:
        raise Refused("encrypted: this member of the archive is under a password. Pack it without one.")
    _check_size(entry.file_size, limits)
    _check_ratio(entry.file_size, entry.compress_size)
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError, zlib.error) as error:
        raise Refused(f"damaged: cannot be unpacked ({error}). Pack it again.") from None


def _check_name(name: str) -> None:
    if _unsafe(name):
        raise Refused(f"its name {name!r} leads out of the archive. Pack it again with names below one folder.")


def _unsafe(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0].endswith(":")


def _check_size(size: int, limits: ParseLimits) -> None:
    if size > limits.file_bytes:
        raise Refused(
            f"oversize: {size:,} bytes inflated, at most {limits.file_bytes:,} are allowed. "
            "Split it, or raise LAKEHOP_FILE_MAX_BYTES."
        )


def _check_ratio(inflated: int, packed: int) -> None:
    if inflated > max(_RATIO_FROM_BYTES, _MAX_RATIO * packed):
        ratio = inflated // max(1, packed)
        raise Refused(f"zip bomb: it inflates {ratio} times, at most {_MAX_RATIO} are allowed. Remove it.")


_TAR_SUFFIXES = (".tar", ".tgz", ".gz", ".tbz", ".tbz2", ".bz2", ".txz", ".xz")

FORMATS = (
    Format("archive", (".zip",), read=None, members=zip_members),
    Format("tar archive", _TAR_SUFFIXES, read=None, members=tar_members),
    Format("7z archive", (".7z",), read=None, members=seven_zip_members, parsers=("py7zr", "py7zr.io")),
)
