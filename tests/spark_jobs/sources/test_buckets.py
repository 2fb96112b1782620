"""What is found in a bucket and read of it. A folder stands for the store here; MinIO does in `make test-long`."""

from pathlib import Path

import pytest
from pyarrow import fs

from lakehouse.errors import InvalidInput, Unavailable
from spark_jobs.formats.parsing import Limits
from spark_jobs.sources.buckets import listing, read_object
from tests.spark_jobs.formats import samples

LIMITS = Limits(100, 1000, 30, 512)


@pytest.fixture
def client(tmp_path: Path) -> fs.FileSystem:
    for name in ("docs/sub/a b.md", "docs/_index.md", "docs/.git/config", "docs/.env", "other/b.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A\n\nText.")
    return fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())


class Refusing:
    """A store that answers every read with what it was told to."""

    def __init__(self, said: str) -> None:
        self.said = said

    def open_input_stream(self, path: str) -> None:
        raise OSError(self.said)


def ids(client: fs.FileSystem, root: str, only: set[str] | None = None) -> list[str]:
    return listing(client, root, only).files["doc_id"].to_pylist()


def test_every_object_is_listed_or_counted(client: fs.FileSystem) -> None:
    found = listing(client, "s3a://docs/")

    assert found.files["doc_id"].to_pylist() == ["_index.md", "sub/a b.md"]
    assert found.files["uri"].to_pylist() == ["s3a://docs/_index.md", "s3a://docs/sub/a%20b.md"]
    assert found.skipped == {"hidden": 2}


def test_an_object_is_listed_by_its_name_and_of_a_folder_only_what_is_wanted(client: fs.FileSystem) -> None:
    assert ids(client, "s3a://docs/sub/a b.md") == ["a b.md"]
    assert ids(client, "s3a://docs", {"sub/a b.md/x"}) == ["sub/a b.md"]


def test_nothing_there_is_said(client: fs.FileSystem) -> None:
    with pytest.raises(InvalidInput, match="s3a://docs/none"):
        listing(client, "s3a://docs/none")


def test_an_object_is_read_as_a_file_is(client: fs.FileSystem, tmp_path: Path) -> None:
    packed = samples.zipped({"in.md": "In."})
    (tmp_path / "docs" / "pack.zip").write_bytes(packed)

    (read,) = read_object(client, "sub/a b.md", "s3a://docs/sub/a%20b.md", 10, LIMITS)
    members = list(read_object(client, "pack.zip", "s3a://docs/pack.zip", len(packed), LIMITS))
    (large,) = read_object(client, "big.md", "s3a://docs/big.md", 101, LIMITS)
    (gone,) = read_object(client, "gone.md", "s3a://docs/gone.md", 10, LIMITS)

    assert read.title == "A"
    assert "pack.zip/in.md" in [one.doc_id for one in members]
    assert large.reason.startswith("oversize: 101 bytes")
    assert "is gone since" in gone.reason


def test_a_denied_object_costs_itself_and_a_silent_store_the_run() -> None:
    (denied,) = read_object(Refusing("AWS Error ACCESS_DENIED"), "a.md", "s3a://docs/a.md", 10, LIMITS)
    assert "denies access" in denied.reason

    with pytest.raises(Unavailable, match="did not answer: s3a://docs/a"):
        list(read_object(Refusing("AWS Error NETWORK_CONNECTION"), "a.md", "s3a://docs/a.md", 10, LIMITS))
