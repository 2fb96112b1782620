"""A warehouse of an earlier release loses the tables that this release neither writes nor reads, and nothing else."""

from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from lakehouse.storage.delta import append, ensure_tables, read_rows, upsert
from lakehouse.tables import ACL_KEYS, INGEST_RUNS, Column, Table, Type
from spark_jobs.upkeep import forget, maintain
from spark_jobs.upkeep.retired import RETIRED_TABLES

pytestmark = pytest.mark.integration
TEXT = Column("target", Type.STRING, "A title that a text mentions.")
TENANT = Column("tenant_id", Type.STRING, "Tenant of the row.")


@pytest.fixture
def old_warehouse(tmp_path: Path) -> Settings:
    """A warehouse in which `link_documents` once wrote, with a folder beside its tables that is no table."""
    settings = Settings(home=tmp_path, spark_driver_memory="1g")
    ensure_tables(settings)
    for name in RETIRED_TABLES:
        table = Table(name, grain="one link", key=("tenant_id",), columns=(TENANT, TEXT), partition_by=("tenant_id",))
        append(settings, table, [{"tenant_id": tenant, "target": "zyx"} for tenant in ("acme", "other")])
    append(settings, ACL_KEYS, [{"tenant_id": "acme", "acl_key": "k", "acl_groups": ["hr"]}])
    warehouse = Path(settings.warehouse_root)
    (warehouse / "_checkpoints" / "link_documents" / "acme" / "v" / "offsets").mkdir(parents=True)
    (warehouse / "_checkpoints" / "embed_chunks" / "acme" / "v").mkdir(parents=True)
    (warehouse / "silver" / "notes").mkdir()
    return settings


def folders(settings: Settings, below: str) -> set[str]:
    return {path.name for path in Path(settings.warehouse_root, below).iterdir()}


def assert_dropped(settings: Settings) -> None:
    retired = {name.removeprefix("silver.") for name in RETIRED_TABLES}
    assert folders(settings, "silver") >= {"chunks", "acl_keys", "notes"}
    assert not folders(settings, "silver") & retired
    assert folders(settings, "_checkpoints") == {"embed_chunks"}
    assert [row["acl_key"] for row in read_rows(settings, ACL_KEYS)] == ["k"]


def test_maintenance_drops_them_once_and_says_so(
    spark: SparkSession, old_warehouse: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(maintain, "TABLES", (ACL_KEYS,))

    maintain.run(spark, old_warehouse, Namespace(run_id="weekly"))

    assert_dropped(old_warehouse)
    assert "silver.links deleted: this release neither writes nor reads it" in caplog.text
    caplog.clear()
    maintain.run(spark, old_warehouse, Namespace(run_id="weekly"))
    assert caplog.text == ""


def test_forgetting_reaches_their_rows_before_the_first_maintenance(
    spark: SparkSession, old_warehouse: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "_remove_from_index", lambda settings, scope, proof: proof.add(forget.MILVUS))
    monkeypatch.setattr(forget, "_count_in_index", lambda settings, scope: 0)
    monkeypatch.setattr(forget, "forgotten_tables", lambda scope: [])
    monkeypatch.setattr(forget, "_FOLLOWING_STEPS", ())

    forget.run(spark, old_warehouse, Namespace(run_id="r", tenant="acme", source="wiki", document=["plan"]))

    assert_dropped(old_warehouse)


def test_counts_of_a_run_are_written_where_the_table_has_columns_of_an_earlier_release(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    links = Column("links_written", Type.LONG, "Links added or changed; NULL: not this step's.", nullable=True)
    old = Table(INGEST_RUNS.name, INGEST_RUNS.grain, INGEST_RUNS.key, (*INGEST_RUNS.columns, links))
    row: dict[str, Any] = {
        "run_id": "r1",
        "step": "link_documents",
        "tenant_id": "acme",
        "source": "wiki",
        "seconds": 1.0,
    }
    row["started_at"] = datetime(2026, 11, 30, tzinfo=UTC)
    upsert(settings, old, [row | {"links_written": 7}])

    upsert(settings, INGEST_RUNS, [row | {"seconds": 2.0}, row | {"step": "chunk_documents"}])

    assert sorted(row["step"] for row in read_rows(settings, INGEST_RUNS)) == ["chunk_documents", "link_documents"]
    assert {row["step"]: row["links_written"] for row in read_rows(settings, old)} == {
        "link_documents": 7, "chunk_documents": None,
    }  # fmt: skip
