"""Documents and tables in buckets: jobs write the same rows as with folders, and fail in time when the store is silent.

The store is a MinIO, built from its Go module at the first run. `make test-long` runs this.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from lakehouse.analytics.sql import run_query
from lakehouse.storage.delta import open_table, read_rows
from lakehouse.tables import DOCUMENTS
from tests.spark_jobs.house import BUILD, LOAD, assert_same, house
from tests.spark_jobs.sources.minio_server import SECRET, Minio, served
from tests.spark_jobs.sources.silent_proxy import SilentProxy

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(2400)]

ALL = (*LOAD, *BUILD)
DAY_1 = {
    **{f"plans/plan-{n}.md": f"# Plan {n}\n\nProject {n} builds part {n}, after Plan {n + 1}.\n" * 9 for n in range(9)},
    "pages/how to.md": "# How to\n\nSee Plan 3.",
    "pages/_index.md": "# Pages",
    "broken.md": b"\xff\xfe\x00broken",
}
DAY_2 = {name: text for name, text in DAY_1.items() if name != "plans/plan-4.md"} | {
    "plans/plan-2.md": "# Plan 2\n\nIt has been given up."
}


def encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Minio]:
    with served(tmp_path_factory.mktemp("minio"), free_port(), free_port()) as server:
        yield server


def test_a_bucket_that_falls_silent_fails_the_run_in_time_and_the_next_one_heals(
    minio: Minio, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    minio.files.create_dir("large")
    proxy = SilentProxy(minio.port)
    before = {f"{n}.md": f"# Plan {n}\n\n" + f"Plan {n} has {n} pages. " * 10_000 for n in range(20)}
    write_into_bucket(minio, "large", before)
    try:
        with house(tmp_path / "house", free_port(), **minio.settings(proxy.port)) as lake:
            lake.run(("parse_documents",), "s3a://large", "day1")
            read_at_once, version = proxy.answered, open_table(lake.settings, DOCUMENTS).version()
            write_into_bucket(minio, "large", {name: text + "And an end." for name, text in before.items()})

            proxy.silent_after = proxy.answered + read_at_once // 2
            started_at = time.monotonic()
            job = lake.start(("parse_documents",), "s3a://large", "day2")
            assert job.wait(timeout=600) == 1
            print(f"failed {time.monotonic() - started_at:.0f} s after its start")
            assert "the object store refused, or did not answer" in lake.log.read_text()
            assert open_table(lake.settings, DOCUMENTS).version() == version

            proxy.silent_after = None
            lake.run(("parse_documents",), "s3a://large", "day3")
            rows = read_rows(lake.settings, DOCUMENTS)
            assert {row["doc_id"] for row in rows} == set(before)
            assert all(row["text"].endswith("And an end.") and not row["deleted"] for row in rows)
    finally:
        proxy.close()


def test_buckets_hold_what_folders_hold(minio: Minio, tmp_path: Path, free_port: Callable[[], int]) -> None:
    folder, bucket = tmp_path / "documents", "s3a://documents/handbook"
    minio.files.create_dir("documents")
    minio.files.create_dir("lake")
    in_buckets = minio.settings() | {"warehouse": "s3a://lake/warehouse"}
    with (
        house(tmp_path / "folders", free_port(), source=str(folder)) as plain,
        house(tmp_path / "buckets", free_port(), source=bucket, **in_buckets) as stored,
    ):
        for day, documents in (("day1", DAY_1), ("day2", DAY_2)):
            write_into(folder, documents)
            write_into_bucket(minio, "documents/handbook", documents)
            plain.run(ALL, folder, day)
            stored.run(ALL, bucket, day)
            assert_same(stored.contents(), plain.contents(), f"{day} in buckets")

        live = "select doc_id from bronze.documents where not deleted order by doc_id"
        doc_ids = [row["doc_id"] for row in run_query(stored.settings, live).rows]
        assert doc_ids == sorted(name for name in DAY_2 if name != "broken.md")
        assert SECRET not in stored.log.read_text()


def write_into(folder: Path, documents: dict[str, str | bytes]) -> None:
    """Make these documents the content of a folder."""
    for name, text in documents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(text))
    for file in folder.rglob("*"):
        if file.is_file() and str(file.relative_to(folder)) not in documents:
            file.unlink()


def write_into_bucket(minio: Minio, prefix: str, documents: dict[str, str | bytes]) -> None:
    """Make these documents the content of a prefix of a bucket."""
    for stored in minio.files.get_file_info(fs.FileSelector(prefix, allow_not_found=True, recursive=True)):
        if stored.is_file and stored.path.removeprefix(f"{prefix}/") not in documents:
            minio.files.delete_file(stored.path)
    for name, text in documents.items():
        minio.write(f"{prefix}/{name}", encoded(text))
