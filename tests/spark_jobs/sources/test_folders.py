"""Which files of a folder or of a git working tree are listed."""

import subprocess
from pathlib import Path

import pytest

from lakehouse.errors import InvalidInput
from spark_jobs.sources.folders import list_folder, local_files


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working tree with tracked, new, ignored, hidden and deleted files."""
    root = tmp_path / "repo"
    for name in ("README.md", ".github/guide.md", "docs/a b.md", "gone.md", "build/out.md", ".env", "docs/new.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / ".gitignore").write_text("build/\n")
    git(root, "init", "-q")
    git(root, "add", ".gitignore", "README.md", ".github", "docs/a b.md", "gone.md")
    git(root, "commit", "-qm", "first")
    (root / "gone.md").unlink()
    return root


def problems(root: Path) -> dict[str, str]:
    """The beginning of each file's problem, empty for a file that can be read."""
    return {file["doc_id"]: (file["problem"] or "").split(".")[0] for file in local_files(root)}


def test_of_a_working_tree_what_git_tracks_or_would_take_is_read(tree: Path) -> None:
    assert problems(tree) == {".github/guide.md": "", "README.md": "", "docs/a b.md": "", "docs/new.md": ""}
    assert problems(tree / "docs") == {"a b.md": "", "new.md": ""}
    assert problems(tree / "build" / "out.md") == {"out.md": ""}  # ingested by its own path


def test_every_file_of_a_working_tree_is_listed_or_counted_by_why_it_is_not(tree: Path) -> None:
    (tree / "inner" / "deep").mkdir(parents=True)
    git(tree / "inner", "init", "-q")
    (tree / "inner" / "deep" / "a.md").write_text("Refused with its repository.")
    (tree / "to_docs").symlink_to(tree / "docs")  # skipped: its files are listed at their own place

    files, skipped = list_folder(tree)

    on_disk = [path.relative_to(tree) for path in tree.rglob("*") if path.is_file()]
    assert skipped["below a folder that was refused"] == sum(path.parts[0] == "inner" for path in on_disk)
    assert skipped["ignored by git"] == sum(path.parts[0] == "build" for path in on_disk) > 0
    assert skipped["hidden"] == sum(path.parts[0] in (".git", ".gitignore", ".env") for path in on_disk)
    assert files.num_rows - 1 + skipped.total() == len(on_disk)  # minus the row of the repository `inner`
    assert list_folder(tree, only=["README.md"]).skipped == {}


def test_submodules_and_links_out_of_a_working_tree_are_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "inner").mkdir()
    git(tree / "inner", "init", "-q")
    (tree / "out.md").symlink_to(tmp_path / "secret.md")
    git(tree, "submodule", "add", "-q", str(tree), "sub")

    refused = {file["doc_id"]: (file["problem"], file["covers"]) for file in local_files(tree) if file["problem"]}

    assert {key: (str(problem).split(",")[0].split(".")[0], covers) for key, (problem, covers) in refused.items()} == {
        "sub": ("a git submodule", "sub/"),
        "inner": ("a git repository within this one", "inner/"),
        "out.md": (f"a link to '{tmp_path}/secret", None),
    }


def test_a_repository_runs_nothing_of_its_own(tree: Path) -> None:
    ran = tree.parent / "ran"
    hook = tree.parent / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    git(tree, "config", "core.fsmonitor", str(hook))

    assert "README.md" in problems(tree)
    assert not ran.exists()


def test_a_broken_repository_says_so(tree: Path) -> None:
    (tree / ".git" / "HEAD").write_text("nonsense")

    with pytest.raises(InvalidInput, match="git cannot list it"):
        list(local_files(tree))


def test_a_folder_that_cannot_be_looked_into_hides_what_is_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    (tmp_path / "a.md").write_text("A.")
    (tmp_path / "shut").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:  # root may read every folder, so the test raises the error of the system
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    shut = list_folder(tmp_path).files.to_pylist()[1]
    assert (shut["doc_id"], shut["covers"]) == ("shut", "shut/")
    assert shut["problem"] == "a folder that cannot be read: Permission denied. Make it readable."


@pytest.mark.parametrize("in_git", [False, True])
def test_a_link_that_leads_back_to_itself_is_refused_and_costs_no_other_file(tmp_path: Path, in_git: bool) -> None:
    (tmp_path / "good.md").write_text("Good.")
    (tmp_path / "sub").mkdir()
    for name, target in (("self.md", "self.md"), ("a.md", "b.md"), ("b.md", "a.md"), ("gone.md", "no"), ("s", "s/x")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "sub" / "again").symlink_to("../sub")
    if in_git:
        git(tmp_path, "init", "-q")
        git(tmp_path, "add", "-A")

    found = {file["doc_id"]: file["problem"] for file in local_files(tmp_path)}

    back = "a link to {!r} that leads back to itself. Repair or remove it."
    assert found == {
        "good.md": None,
        "gone.md": f"a link to '{tmp_path}/no', where nothing is. Repair or remove it.",
        "self.md": back.format("self.md"),
        "a.md": back.format("b.md"),
        "b.md": back.format("a.md"),
        "s": back.format("s/x"),
    }


def test_a_path_that_is_a_link_keeps_its_address_when_it_moves_to_another_folder(tmp_path: Path) -> None:
    for release in ("release-41", "release-42"):
        (tmp_path / release / "docs").mkdir(parents=True)
        (tmp_path / release / "docs" / "guide.md").write_text(release)
    current, seen = tmp_path / "current", []
    for release in ("release-41", "release-42"):
        current.unlink(missing_ok=True)
        current.symlink_to(release)
        seen += [(file["uri"], file["path"]) for root in (current, current / "docs") for file in local_files(root)]

    uri = (current / "docs" / "guide.md").as_uri()
    paths = [str(tmp_path / release / "docs" / "guide.md") for release in ("release-41", "release-42")]
    assert seen == [(uri, paths[0]), (uri, paths[0]), (uri, paths[1]), (uri, paths[1])]


def test_a_link_to_a_hidden_folder_is_refused_because_its_files_are_listed_nowhere(tmp_path: Path) -> None:
    (tmp_path / ".releases" / "41").mkdir(parents=True)
    (tmp_path / ".releases" / "41" / "guide.md").write_text("Text.")
    (tmp_path / "current").symlink_to(".releases/41")

    (row,) = local_files(tmp_path)

    assert (row["doc_id"], row["covers"]) == ("current", "current/")
    assert row["problem"] == "a link to a hidden folder. Ingest it by its own path."


def test_a_folder_that_cannot_be_listed_itself_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def refusing(path: str) -> object:
        raise OSError(116, "Stale file handle", str(path))

    monkeypatch.setattr(os, "scandir", refusing)

    with pytest.raises(InvalidInput, match="Stale file handle"):
        list(local_files(tmp_path))
