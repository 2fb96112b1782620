"""Maintenance on real Delta tables: files go, rows stay, and every stream goes on, however long it was idle."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables, open_table
from lakehouse.tables import CHUNKS, DOCUMENTS, Table
from spark_jobs.upkeep import maintain
from spark_jobs.upkeep.maintain import find_streams, run
from tests.spark_jobs.conftest import Lake

pytestmark = [
    pytest.mark.integration,
    pytest.mark.long,
    pytest.mark.timeout(1800),
]  # a dozen Spark jobs: a minute alone, many on a machine shared with others
ARGS = Namespace(run_id="weekly")
STEPS = ("parse_documents", "chunk_documents")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A warehouse of its own, in which nothing need be kept: what only the guard keeps is seen at once."""
    settings = Settings(home=tmp_path_factory.mktemp("maintain"), spark_driver_memory="1g")
    ensure_tables(settings)
    return settings.model_copy(update={"vacuum_hours": 0})


@pytest.fixture(autouse=True)
def two_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tables are treated alike, and each takes seconds."""
    monkeypatch.setattr(maintain, "TABLES", (DOCUMENTS, CHUNKS))


def lake(spark: SparkSession, settings: Settings, folder: Path, name: str) -> Lake:
    (folder / name).mkdir()
    made = Lake(spark, settings, folder / name)
    made.tenant = name
    return made


def document(text: str) -> dict[str, str]:
    return {"id": "plan", "title": "Plan", "text": text}


def files_on_disk(settings: Settings, table: Table) -> int:
    return len(list(Path(table.path(settings.warehouse_root)).rglob("*.parquet")))


def test_files_shrink_rows_stay_and_a_lagging_stream_loses_nothing(
    spark: SparkSession, warehouse: Settings, tmp_path: Path
) -> None:
    busy, idle, failed = (lake(spark, warehouse, tmp_path, name) for name in ("busy", "idle", "failed"))
    idle.run(*STEPS, path=idle.write(document("Idle starts in May.")))
    failed.run(*STEPS, path=failed.write(document("Failed starts in May.")))
    failed.run("parse_documents", path=failed.write(document("Failed starts in June.")))  # and was never chunked
    for row in (document("Busy starts in May."), {"id": "new", "text": "New."}, document("Busy starts in June.")):
        busy.run(*STEPS, path=busy.write(row))  # an added document is a file of its own
    before = {table.name: sorted(map(str, open_table(warehouse, table).to_pyarrow_table().to_pylist()))
              for table in (DOCUMENTS, CHUNKS)}  # fmt: skip
    active, on_disk = len(open_table(warehouse, CHUNKS).file_uris()), files_on_disk(warehouse, CHUNKS)

    counts = run(spark, warehouse, ARGS)

    for table in (DOCUMENTS, CHUNKS):
        assert sorted(map(str, open_table(warehouse, table).to_pyarrow_table().to_pylist())) == before[table.name]
    assert counts["files_compacted"] >= 2
    assert counts["files_deleted"] >= 1
    assert counts["streams_waiting"] == 1
    assert len(open_table(warehouse, CHUNKS).file_uris()) < active
    assert files_on_disk(warehouse, CHUNKS) < on_disk

    assert failed.run("chunk_documents")["chunks_written"] == 1  # what it had yet to read was still there
    assert [row["text"] for row in failed.rows(CHUNKS)] == ["Failed starts in June."]
    assert idle.run(*STEPS, path=idle.write(document("Idle starts in June.")))["chunks_written"] == 1

    counts = run(spark, warehouse, ARGS)

    assert counts["streams_waiting"] == 0
    assert not list(Path(DOCUMENTS.path(warehouse.warehouse_root)).glob("_change_data/**/*.parquet"))
    for tenant in (busy, failed):
        assert tenant.run(*STEPS, path=tenant.write(document("All start in August.")))["chunks_written"] == 1
        assert "All start in August." in [row["text"] for row in tenant.rows(CHUNKS)]


def test_a_checkpoint_of_a_table_that_is_gone_is_dropped(
    spark: SparkSession, warehouse: Settings, tmp_path: Path
) -> None:
    orphan = lake(spark, warehouse, tmp_path, "orphan")
    orphan.run(*STEPS, path=orphan.write(document("Orphan starts in May.")))
    (stream,) = (one for one in find_streams(spark, warehouse) if one.tenant_id == "orphan")
    offsets = sorted(Path(stream.path.removeprefix("file:")).glob("offsets/[0-9]*"))
    for path in offsets:
        path.write_text(path.read_text().replace(stream.table_id, "another-table"))
        (path.parent / f".{path.name}.crc").unlink(missing_ok=True)

    counts = run(spark, warehouse, ARGS)

    assert counts["checkpoints_dropped"] == 1
    assert "orphan" not in {one.tenant_id for one in find_streams(spark, warehouse)}
    assert json.loads(json.dumps(counts)) == counts
