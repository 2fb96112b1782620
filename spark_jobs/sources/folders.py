"""The files of a local folder, each with the problem that forbids reading it; in a git working tree git lists them.

Spark's own listing silently drops every name that begins with `_`, and follows links out of the folder.
"""

import errno
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pyarrow as pa

from lakehouse.errors import InvalidInput
from lakehouse.storage.local_paths import given_path

FILES = pa.schema(
    [
        ("doc_id", pa.string()),
        ("path", pa.string()),
        ("uri", pa.string()),
        ("problem", pa.string()),  # NULL: the file can be read
        ("covers", pa.string()),  # prefix of ids that the problem may hide
    ]
)
_BATCH_FILES = 10_000
_FILES_OF_GIT = (".gitignore", ".gitattributes", ".gitmodules", ".gitkeep", ".mailmap")

Row = dict[str, Any]


class Listing(NamedTuple):
    """Files below a path as `FILES`, some 300 bytes each on the driver, and the number of skipped files by reason."""

    files: pa.Table
    skipped: Counter[str]


def list_folder(root: Path, only: Collection[str] | None = None) -> Listing:
    """Every file below a path: it is either in `files` or counted in `skipped`.

    `only`: list only the files of these ids, the archives that hold them, and files below them.
    """
    rows: list[Row] = []
    batches: list[pa.RecordBatch] = []
    is_wanted = related_to(only) if only is not None else None
    listed: set[str | None] = set()
    refused: list[str] = []
    for row in local_files(root):
        if is_wanted and not is_wanted(row["doc_id"]):
            continue
        listed.add(row["doc_id"])
        refused += filter(None, [row.get("covers")])
        rows.append(row)
        if len(rows) == _BATCH_FILES:
            batches.append(pa.RecordBatch.from_pylist(rows, FILES))
            rows = []
    files = pa.Table.from_batches([*batches, pa.RecordBatch.from_pylist(rows, FILES)], FILES)
    return Listing(files, Counter() if is_wanted else _skipped(Path(os.path.realpath(root)), listed, tuple(refused)))


def _skipped(root: Path, listed: Collection[str | None], refused: tuple[str, ...]) -> Counter[str]:
    """The number of files below a folder that are not listed, by reason."""
    skipped: Counter[str] = Counter()
    for folder, _, files in os.walk(root):
        below = os.path.relpath(folder, root)
        for name in (os.path.normpath(os.path.join(below, file)) for file in files):
            if name in listed or not _is_text(name):
                continue  # a name that is not UTF-8 is listed without an id
            if name.startswith(refused):
                skipped["below a folder that was refused"] += 1
            else:
                skipped["hidden" if _is_hidden(name) else "ignored by git"] += 1
    return skipped


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def related_to(ids: Collection[str]) -> Callable[[str | None], bool]:
    """A function that says whether an id is one of `ids`, or a path above or below one of them."""
    at_or_above = {path for doc_id in ids for path in _and_parents(doc_id)}
    return lambda doc_id: (
        doc_id is not None and (doc_id in at_or_above or any(path in ids for path in _and_parents(doc_id)))
    )


def _and_parents(path: str) -> Iterator[str]:
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def local_files(root: Path) -> Iterator[Row]:
    """Files below a folder, or the file itself, as rows of `FILES`. Hidden files are skipped unless git tracks them.

    `problem` says why a file is refused: its name is not UTF-8, it is a link out of the folder, to nothing or to
    itself, or it is no regular file. A link to a folder inside is skipped, because its files are listed at their own
    place. Where `root` is a link, `uri` is the address as given, and `path` lies in the folder that it leads to now: a
    link that moves while the job runs does not mix two releases. Raises `InvalidInput` where `root` cannot be listed.
    """
    given = given_path(str(root))
    real_root = Path(os.path.realpath(given))
    if real_root.is_file():
        yield _row(given.name, str(real_root), given.as_uri(), None, None)
        return
    candidates = _listed_by_git(real_root) if _is_working_tree(real_root) else _walked(real_root)
    # strings, not Paths, from here on: a folder may hold a hundred thousand files, and a Path takes ten times as long
    below, address = len(os.path.join(real_root, "")), given.as_uri().rstrip("/") + "/"
    for path, problem, hides_files in candidates:
        name = path[below:]
        problem = problem or _problem(path, real_root)
        if problem is None and os.path.isdir(path):
            if not _is_hidden(os.path.realpath(path)[below:]):
                continue
            problem, hides_files = "a link to a hidden folder. Ingest it by its own path.", True
        place = os.path.realpath(path) if problem is None and os.path.islink(path) else path
        yield _row(name, place, address + quote(os.fsencode(name)), problem, f"{name}/" if hides_files else None)


def _row(doc_id: str, path: str, uri: str, problem: str | None, covers: str | None) -> Row:
    if not _is_text(path):
        return {"doc_id": None, "path": None, "uri": uri, "problem": "its name is not UTF-8. Rename the file."}
    return {"doc_id": doc_id, "path": path, "uri": uri, "problem": problem, "covers": covers}


_Candidate = tuple[str, str | None, bool]
"""A path, the problem that is known so far, and whether it may hide files below it."""


def _walked(root: Path) -> Iterator[_Candidate]:
    """Every file below a plain folder, ordered by name, and every folder that cannot be read."""
    unread: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=unread.append):
        yield from _unread(root, unread)
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
        for name in sorted(names + links):
            if not name.startswith("."):
                yield os.path.join(folder, name), None, False
    yield from _unread(root, unread)


def _unread(root: Path, errors: list[OSError]) -> Iterator[_Candidate]:
    while errors:
        error = errors.pop()
        if error.filename == str(root):
            raise InvalidInput(f"path {str(root)!r}: cannot be read: {error.strerror}. Make it readable.")
        yield str(error.filename), f"a folder that cannot be read: {error.strerror}. Make it readable.", True


def _is_working_tree(real_root: Path) -> bool:
    candidates = [folder / ".git" for folder in (real_root, *real_root.parents)]
    # in a worktree or a submodule `.git` is a file
    return any(path.is_file() or (path / "HEAD").exists() for path in candidates)


def _listed_by_git(root: Path) -> Iterator[_Candidate]:
    """Every file that git tracks, and the files that it would add unless they are hidden (`.env` holds secrets)."""
    # both settings name programs that git runs, and a stranger's repository may set them
    git = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(root)]
    if shutil.which("git") is None:
        raise InvalidInput(f"path {str(root)!r}: a git working tree needs git to list it. Install git on the driver.")
    tracked = _output_of_git(root, [*git, "ls-files", "-z", "--cached", "--stage", "--", "."])
    seen: set[bytes] = set()
    for entry in tracked:
        details, _, name = entry.partition(b"\t")
        path = os.path.join(root, os.fsdecode(name))
        if name in seen or os.path.basename(path) in _FILES_OF_GIT or not os.path.lexists(path):
            continue  # a merge conflict lists a file once for each side; a deleted file is still tracked
        seen.add(name)
        is_submodule = details.startswith(b"160000")
        yield path, "a git submodule. Ingest it by its own path." if is_submodule else None, is_submodule
    for name in _output_of_git(root, [*git, "ls-files", "-z", "--others", "--exclude-standard", "--", "."]):
        path = os.path.join(root, os.fsdecode(name).rstrip("/"))
        if name.endswith(b"/"):
            yield path, "a git repository within this one. Ingest it by its own path.", True
        elif not any(part.startswith(b".") for part in name.split(b"/")):
            yield path, None, False


def _output_of_git(root: Path, command: list[str]) -> Iterator[bytes]:
    """The names that git prints, each ended by NUL, as they arrive."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as git:
        assert git.stdout is not None
        assert git.stderr is not None
        rest = b""
        while chunk := git.stdout.read(1 << 16):
            *names, rest = (rest + chunk).split(b"\0")
            yield from names
        message = git.stderr.read().decode(errors="replace").strip()
    if git.returncode:
        raise InvalidInput(
            f"path {str(root)!r}: git cannot list it ({message.splitlines()[0] if message else git.returncode}). "
            "Repair that, or ingest a copy without .git."
        )


def _problem(path: str, real_root: Path) -> str | None:
    if os.path.islink(path):
        target = os.path.realpath(path)  # unlike `Path.resolve`, it raises nothing for links in a circle
        if _is_circle(path):
            return f"a link to {os.readlink(path)!r} that leads back to itself. Repair or remove it."
        if not Path(target).is_relative_to(real_root):
            return f"a link to {target!r}, outside the folder. Put the file itself there, or ingest its folder."
        if not os.path.exists(target):
            return f"a link to {target!r}, where nothing is. Repair or remove it."
    if not os.path.isfile(path) and not os.path.isdir(path):
        return "neither a file nor a folder. Remove it."
    return None


def _is_circle(link: str) -> bool:
    try:
        os.stat(link)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
