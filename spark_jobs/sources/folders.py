"""The files of a local folder, or what git would take of a working tree, with what is wrong with each.

Spark's own listing drops every name that begins with `_` in silence, and follows links out of the folder.
"""

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

LISTED = pa.schema(
    [
        ("doc_id", pa.string()),
        ("path", pa.string()),
        ("uri", pa.string()),
        ("problem", pa.string()),  # NULL for a file to be read
        ("covers", pa.string()),  # ids that begin so may be hidden by the problem
    ]
)
_BATCH_FILES = 10_000
_GITS_OWN = (".gitignore", ".gitattributes", ".gitmodules", ".gitkeep", ".mailmap")

Row = dict[str, Any]


class Listing(NamedTuple):
    """The files below a path as `LISTED`, 300 bytes or so each on the driver; and how many others lie there, by why."""

    files: pa.Table
    skipped: Counter[str]


def listing(root: Path, only: Collection[str] | None = None) -> Listing:
    """What lies below a path: all of it is either in `files` or counted in `skipped`.

    `only`: no other files than those of these ids, those that hold them (archives), and those below them.
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
            batches.append(pa.RecordBatch.from_pylist(rows, LISTED))
            rows = []
    files = pa.Table.from_batches([*batches, pa.RecordBatch.from_pylist(rows, LISTED)], LISTED)
    return Listing(files, Counter() if is_wanted else _passed_over(root, listed, tuple(refused)))


def _passed_over(root: Path, listed: Collection[str | None], refused: tuple[str, ...]) -> Counter[str]:
    """How many files below a folder are not listed, by why."""
    found: Counter[str] = Counter()
    for folder, _, files in os.walk(root):
        below = os.path.relpath(folder, root)
        for name in (os.path.normpath(os.path.join(below, file)) for file in files):
            if name in listed or not _is_text(name):
                continue  # a name that is no text was listed without an id
            if name.startswith(refused):
                found["below a folder that was refused"] += 1
            else:
                is_hidden = any(part.startswith(".") for part in name.split("/"))
                found["hidden" if is_hidden else "ignored by git"] += 1
    return found


def related_to(ids: Collection[str]) -> Callable[[str | None], bool]:
    """Whether an id is one of these, or a path above or below one."""
    above = {part for one in ids for part in _and_above(one)}
    return lambda doc_id: doc_id is not None and (doc_id in above or any(part in ids for part in _and_above(doc_id)))


def _and_above(path: str) -> Iterator[str]:
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def local_files(root: Path) -> Iterator[Row]:
    """The files below a folder, or the file itself. Hidden ones are passed over, but for those that git tracks.

    `problem` says why one can't be taken: its name is no text, it is a link that leaves the folder or leads
    nowhere, or it is no regular file. A link to a folder inside is passed over: its files are found at their place.
    """
    real_root = root.resolve()
    if root.is_file():
        yield _row(root.name, str(real_root), real_root.as_uri(), None, None)
        return
    found = _tracked(root, real_root) if _is_working_tree(real_root) else _walked(root)
    # strings, not Paths, from here on: a folder may hold a hundred thousand files, and a Path takes ten times as long
    below, address = len(os.path.join(root, "")), real_root.as_uri().rstrip("/") + "/"
    for path, problem, hides in found:
        name = path[below:]
        problem = problem or _problem(path, real_root)
        if problem is None and os.path.isdir(path):
            continue
        place = os.path.realpath(path) if problem is None and os.path.islink(path) else path
        yield _row(name, place, address + quote(os.fsencode(name)), problem, f"{name}/" if hides else None)


def _row(doc_id: str, path: str, uri: str, problem: str | None, covers: str | None) -> Row:
    if not _is_text(path):
        return {"doc_id": None, "path": None, "uri": uri, "problem": "its name is not UTF-8. Rename the file."}
    return {"doc_id": doc_id, "path": path, "uri": uri, "problem": problem, "covers": covers}


_Found = tuple[str, str | None, bool]
"""A path, a problem that is known by now, and whether files may lie below it unseen."""


def _walked(root: Path) -> Iterator[_Found]:
    """Every file below a plain folder in the order of the names, and every folder that can't be looked into."""
    unread: list[OSError] = []
    for folder, folders, names in os.walk(root, onerror=unread.append):
        yield from _unread(unread)
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
        for name in sorted(names + links):
            if not name.startswith("."):
                yield os.path.join(folder, name), None, False
    yield from _unread(unread)


def _unread(errors: list[OSError]) -> Iterator[_Found]:
    while errors:
        error = errors.pop()
        yield str(error.filename), f"a folder that cannot be read: {error.strerror}. Make it readable.", True


def _is_working_tree(real_root: Path) -> bool:
    places = [folder / ".git" for folder in (real_root, *real_root.parents)]
    return any(place.is_file() or (place / "HEAD").exists() for place in places)  # a file: a worktree or a submodule


def _tracked(root: Path, real_root: Path) -> Iterator[_Found]:
    """What git tracks, hidden files too; and what it would take next, without hidden ones (`.env` holds secrets)."""
    # both settings name programs that git would run, and the repository's own configuration may hold them
    git = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", str(real_root)]
    if shutil.which("git") is None:
        raise InvalidInput(f"path {str(root)!r}: a git working tree, and there is no git. Install it on the driver.")
    tracked = _listed(root, [*git, "ls-files", "-z", "--cached", "--stage", "--", "."])
    seen: set[bytes] = set()
    for entry in tracked:
        details, _, name = entry.partition(b"\t")
        path = os.path.join(root, os.fsdecode(name))
        if name in seen or os.path.basename(path) in _GITS_OWN or not os.path.lexists(path):
            continue  # one entry a side of a conflict; a file that was deleted
        seen.add(name)
        is_submodule = details.startswith(b"160000")
        yield path, "a git submodule. Ingest it by its own path." if is_submodule else None, is_submodule
    for name in _listed(root, [*git, "ls-files", "-z", "--others", "--exclude-standard", "--", "."]):
        path = os.path.join(root, os.fsdecode(name).rstrip("/"))
        if name.endswith(b"/"):
            yield path, "a git repository within this one. Ingest it by its own path.", True
        elif not any(part.startswith(b".") for part in name.split(b"/")):
            yield path, None, False


def _listed(root: Path, command: list[str]) -> Iterator[bytes]:
    """What git prints between its NULs, as it prints it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as git:
        assert git.stdout is not None
        assert git.stderr is not None
        rest = b""
        while chunk := git.stdout.read(1 << 16):
            *names, rest = (rest + chunk).split(b"\0")
            yield from names
        told = git.stderr.read().decode(errors="replace").strip()
    if git.returncode:
        raise InvalidInput(
            f"path {str(root)!r}: git cannot list it ({told.splitlines()[0] if told else git.returncode}). "
            "Repair that, or ingest a copy without .git."
        )


def _problem(path: str, real_root: Path) -> str | None:
    if os.path.islink(path):
        target = Path(path).resolve()
        if not target.is_relative_to(real_root):
            return f"a link to {str(target)!r}, outside the folder. Put the file itself there, or ingest its folder."
        if not target.exists():
            return f"a link to {str(target)!r}, where nothing is. Repair or remove it."
    if not os.path.isfile(path) and not os.path.isdir(path):
        return "neither a file nor a folder. Remove it."
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
