"""Which documents a file holds: itself, or the members of an archive, or a mail and what is attached to it.

Runs in the converting process. What is found is handed on one by one and unread, so that each is read under its own
limits, and a bad one costs itself only. The order is always the same: reading can go on after the one that killed it.
"""

import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO
from urllib.parse import quote

from spark_jobs.formats.office import msg_attachments, prepare, read_document, read_mail
from spark_jobs.formats.parsing import MAX_ID_CHARACTERS, Document, Limits, Refused

MAX_DEPTH = 3
MAX_MEMBERS = 10_000
TIMES_A_FILE = 10
"""How much more an archive may hold, and take, than one file may."""
_MAX_RATIO = 200
_RATIO_FROM_BYTES = 1_000_000  # a small file of blanks deflates as well as a bomb


@dataclass
class Budget:
    """What is left to one file and to all that is in it, however deep."""

    inflated_bytes: int
    members: int = MAX_MEMBERS


@dataclass(frozen=True)
class Part:
    """One document to be: its id, and how to read it; `read` raises `Refused` when it is none."""

    doc_id: str
    uri: str
    read: Callable[[], Document] = field(repr=False)


def parts(doc_id: str, uri: str, file: IO[bytes], limits: Limits) -> Iterator[Part]:
    """All documents of a file in their order. Members of an archive are inflated when their turn comes."""
    yield from _parts(doc_id, uri, file, limits, Budget(TIMES_A_FILE * limits.file_bytes), depth=0)


def _parts(doc_id: str, uri: str, file: IO[bytes], limits: Limits, budget: Budget, depth: int) -> Iterator[Part]:
    suffix = PurePosixPath(doc_id).suffix.lower()
    prepare(suffix)
    try:
        if len(doc_id) > MAX_ID_CHARACTERS:
            raise Refused(
                f"its path has {len(doc_id)} characters, at most {MAX_ID_CHARACTERS} are allowed. Shorten it."
            )
        if depth > MAX_DEPTH:
            raise Refused(f"nested deeper than {MAX_DEPTH} archives or mails. Unpack it, and ingest what it holds.")
        if suffix == ".zip":
            yield from _members(doc_id, uri, file, limits, budget, depth)
            return
        yield Part(doc_id, uri, lambda: read_document(doc_id, uri, file, limits))
        if suffix in (".eml", ".msg"):
            attached = _eml_attachments(file) if suffix == ".eml" else msg_attachments(file)
            yield from _attachments(doc_id, uri, attached, limits, budget, depth)
    except Refused as refused:
        yield _refused(doc_id, uri, str(refused))
    except zipfile.BadZipFile as error:
        yield _refused(doc_id, uri, f"damaged: no valid ZIP file ({error}). Get a whole copy.")
    except (OSError, ValueError, LookupError) as error:
        yield _refused(doc_id, uri, f"damaged: no valid {suffix} file ({error}). Get a whole copy, or save it anew.")


def _members(doc_id: str, uri: str, file: IO[bytes], limits: Limits, budget: Budget, depth: int) -> Iterator[Part]:
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not _is_passed_over(member)]
        _spend(budget, len(members), sum(member.file_size for member in members))
        for member in members:
            name = member.filename.replace("\\", "/")
            inner_id, inner_uri = _below(doc_id, uri, name)
            try:
                _check_member(member, name, limits)
                content = archive.read(member)
            except Refused as refused:
                yield _refused(inner_id, inner_uri, str(refused))
            except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError, zlib.error) as error:
                yield _refused(inner_id, inner_uri, f"damaged: cannot be unpacked ({error}). Pack it again.")
            else:
                yield from _parts(inner_id, inner_uri, io.BytesIO(content), limits, budget, depth + 1)


def _is_passed_over(member: zipfile.ZipInfo) -> bool:
    """Folders, and hidden files, as in a folder; macOS keeps its own in `__MACOSX`."""
    names = PurePosixPath(member.filename.replace("\\", "/")).parts
    return member.is_dir() or any(n == "__MACOSX" or (n.startswith(".") and n not in (".", "..")) for n in names)


def _check_member(member: zipfile.ZipInfo, name: str, limits: Limits) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.parts[0].endswith(":"):
        raise Refused(f"its name {name!r} leads out of the archive. Pack it again with names below one folder.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise Refused("a link in an archive. Pack the file itself.")
    if member.flag_bits & 1:
        raise Refused("encrypted: this member of the archive is under a password. Pack it without one.")
    if member.file_size > limits.file_bytes:
        most = f"at most {limits.file_bytes:,} are allowed"
        raise Refused(
            f"oversize: {member.file_size:,} bytes inflated, {most}. Split it, or raise LAKEHOP_FILE_MAX_BYTES."
        )
    if member.file_size > max(_RATIO_FROM_BYTES, _MAX_RATIO * member.compress_size):
        ratio = member.file_size // max(1, member.compress_size)
        raise Refused(f"zip bomb: it inflates {ratio} times, at most {_MAX_RATIO} are allowed. Remove it.")


def _spend(budget: Budget, members: int, inflated_bytes: int) -> None:
    if members > budget.members:
        raise Refused(f"{members:,} files in an archive: at most {MAX_MEMBERS:,} are allowed. Split the archive.")
    if inflated_bytes > budget.inflated_bytes:
        most = f"at most {budget.inflated_bytes:,} are left to it"
        raise Refused(
            f"zip bomb: {inflated_bytes:,} bytes inflated, {most}. Remove it, or unpack and ingest the folder."
        )
    budget.members -= members
    budget.inflated_bytes -= inflated_bytes


def _eml_attachments(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    file.seek(0)
    try:
        mail = read_mail(file)
    except Refused:  # as the mail itself is, for the same reason
        return
    for number, part in enumerate(mail.iter_attachments(), start=1):
        if part.get_content_disposition() != "attachment" and part.get_content_maintype() == "image":
            continue  # a signature's logo
        name = part.get_filename() or f"attachment-{number}"
        if part.get_content_type() == "message/rfc822":
            forwarded = part.get_payload(0)
            yield (name if name.lower().endswith(".eml") else f"{name}.eml"), forwarded.as_bytes()  # type: ignore[union-attr]
        else:
            payload = part.get_payload(decode=True)
            yield name, payload if isinstance(payload, bytes) else b""


def _attachments(
    doc_id: str, uri: str, attached: Iterator[tuple[str, bytes]], limits: Limits, budget: Budget, depth: int
) -> Iterator[Part]:
    used: dict[str, int] = {}
    for given, content in attached:
        name = PurePosixPath(given.replace("\\", "/")).name or "attachment"
        used[name] = used.get(name, 0) + 1
        if used[name] > 1:
            path = PurePosixPath(name)
            name = f"{path.stem} ({used[name]}){path.suffix}"
        _spend(budget, 1, len(content))
        yield from _parts(*_below(doc_id, uri, name), io.BytesIO(content), limits, budget, depth + 1)


def _below(doc_id: str, uri: str, name: str) -> tuple[str, str]:
    """Id and address of a file within a file: `a.zip/b/c.md`, `file:///…/a.zip#b/c.md`."""
    return f"{doc_id}/{name}", f"{uri}{'/' if '#' in uri else '#'}{quote(name)}"


def _refused(doc_id: str, uri: str, reason: str) -> Part:
    def read() -> Document:
        raise Refused(reason)

    return Part(doc_id, uri, read)
