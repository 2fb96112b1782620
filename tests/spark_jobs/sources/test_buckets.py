"""Objects of a bucket are listed and read. A folder plays the store here; `make test-long` uses MinIO."""

from pathlib import Path

import pytest
from pyarrow import fs

from lakehouse.errors import InvalidInput, Unavailable
from spark_jobs.formats.document import ParseLimits
from spark_jobs.sources.buckets import list_bucket, read_object
from tests.spark_jobs.formats import samples

LIMITS = ParseLimits(100, 1000, 30, 512)


@pytest.fixture
def client(tmp_path: Path) -> fs.FileSystem:
    for name in ("docs/sub/a b.md", "docs/_index.md", "docs/.git/config", "docs/.env", "other/b.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A\n\nText.")
    return fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())


class Refusing:
    """A store that answers every read with this error."""

    def __init__(self, error: str) -> None:
        self.error = error

    def open_input_stream(self, path: str) -> None:
        raise OSError(self.error)


def ids(client: fs.FileSystem, root: str, only: set[str] | None = None) -> list[str]:
    return list_bucket(client, root, only).files["doc_id"].to_pylist()


def test_every_object_is_listed_or_counted(client: fs.FileSystem) -> None:
    listing = list_bucket(client, "s3a://docs/")

    assert listing.files["doc_id"].to_pylist() == ["_index.md", "sub/a b.md"]
    assert listing.files["uri"].to_pylist() == ["s3a://docs/_index.md", "s3a://docs/sub/a%20b.md"]
    assert listing.skipped == {"hidden": 2}


def test_an_object_is_listed_by_its_name_and_a_folder_by_the_wanted_ids(client: fs.FileSystem) -> None:
    assert ids(client, "s3a://docs/sub/a b.md") == ["a b.md"]
    assert ids(client, "s3a://docs", {"sub/a b.md/x"}) == ["sub/a b.md"]


def test_an_address_without_objects_is_an_error(client: fs.FileSystem) -> None:
    with pytest.raises(InvalidInput, match="s3a://docs/none"):
        list_bucket(client, "s3a://docs/none")


def test_an_object_is_read_as_a_file_is(client: fs.FileSystem, tmp_path: Path) -> None:
    packed = samples.zipped({"in.md": "In."})
    (tmp_path / "docs" / "pack.zip").write_bytes(packed)

    (read,) = read_object(client, "sub/a b.md", "s3a://docs/sub/a%20b.md", 10, LIMITS)
    members = list(read_object(client, "pack.zip", "s3a://docs/pack.zip", len(packed), LIMITS))
    (large,) = read_object(client, "big.md", "s3a://docs/big.md", 101, LIMITS)
    (gone,) = read_object(client, "gone.md", "s3a://docs/gone.md", 10, LIMITS)

    assert read.title == "A"
    assert "pack.zip/in.md" in [result.doc_id for result in members]
    assert large.reason.startswith("oversize: 101 bytes")
    assert "is gone since" in gone.reason


def test_a_denied_object_costs_itself_and_a_silent_store_the_run() -> None:
    (denied,) = read_object(Refusing("AWS Error ACCESS_DENIED"), "a.md", "s3a://docs/a.md", 10, LIMITS)
    assert "denies access" in denied.reason

    with pytest.raises(Unavailable, match="did not answer: s3a://docs/a"):
        list(read_object(Refusing("AWS Error NETWORK_CONNECTION"), "a.md", "s3a://docs/a.md", 10, LIMITS))
