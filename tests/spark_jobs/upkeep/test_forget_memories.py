"""What was remembered goes with any document that it rests on, and with its tenant; services may write meanwhile."""

from argparse import Namespace
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from lakehouse.state.memory import Memories, Owner
from lakehouse.storage.delta import append, read_rows
from lakehouse.tables import COMPILED_PROGRAMS, FORGET_RUNS, MEMORIES
from spark_jobs.upkeep import forget as forget_documents
from spark_jobs.upkeep import maintain

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC)


@pytest.fixture
def forget(spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, int]]:
    """The job on this table alone, without the index: the others are shown in test_forget_documents.py."""
    monkeypatch.setattr(forget_documents, "forgotten_tables", lambda scope: [MEMORIES, COMPILED_PROGRAMS])
    monkeypatch.setattr(forget_documents, "_remove_from_index", lambda *_: None)
    monkeypatch.setattr(forget_documents, "_count_in_index", lambda *_: 0)
    monkeypatch.setattr(forget_documents, "_FOLLOWING_STEPS", ())
    monkeypatch.setattr(forget_documents._Proof, "left", _left_in_tables)

    def run(run_id: str, *documents: str, source: str | None = None) -> dict[str, int]:
        args = Namespace(run_id=run_id, tenant="acme", source=source, document=list(documents))
        return forget_documents.run(spark, settings, args)

    return run


def _left_in_tables(proof: "forget_documents._Proof", place: str, rows: int) -> None:
    if place != forget_documents.MILVUS:
        proof._left[place] = rows


def remember(settings: Settings, id: str, *documents: tuple[str, str], tenant: str = "acme", days: int = 9) -> None:
    sources, doc_ids = [source for source, _ in documents], [doc_id for _, doc_id in documents]
    who = {"tenant_id": tenant, "memory_id": id, "app": "wiki", "user_id": "ann", "kind": "answer", "text": f"{id}-zyx"}
    about = {"chunk_ids": doc_ids, "sources": sources, "doc_ids": doc_ids, "version": 1}
    times = {"created_at": NOW, "written_at": NOW, "expires_at": NOW + timedelta(days=days)}
    append(settings, MEMORIES, [who | about | times])


def kept(settings: Settings, tenant: str = "acme") -> list[str]:
    return sorted(row["memory_id"] for row in read_rows(settings, MEMORIES, [("tenant_id", "=", tenant)]))


def test_what_was_remembered_goes_with_any_document_that_it_rests_on(
    settings: Settings, forget: Callable[..., dict[str, int]]
) -> None:
    remember(settings, "both", ("wiki", "plan"), ("wiki", "jane"))
    remember(settings, "jane-mail", ("mail", "jane"))
    remember(settings, "other", ("wiki", "plan"))
    remember(settings, "note")
    remember(settings, "elsewhere", ("wiki", "jane"), tenant="other")

    forget("forget-1", "jane", source="wiki")

    assert (kept(settings), kept(settings, "other")) == (["jane-mail", "note", "other"], ["elsewhere"])
    proofs = [row for row in read_rows(settings, FORGET_RUNS) if row["run_id"] == "forget-1"]
    (proof,) = [row for row in proofs if row["place"] == MEMORIES.name]
    assert (proof["place"], proof["rows_removed"], proof["rows_left"]) == (MEMORIES.name, 1, 0)
    files = list(Path(MEMORIES.path(settings.warehouse_root)).rglob("*.parquet"))
    assert [file for file in files if b"both-zyx" in file.read_bytes()] == []

    about_to = files[0].with_name("a-service-is-about-to-commit-this.parquet")
    about_to.write_bytes(next(file for file in files if b"note-zyx" in file.read_bytes()).read_bytes())
    forget("forget-2", source="mail")
    assert (kept(settings), about_to.exists()) == (["note", "other"], True)
    about_to.unlink()

    forget("forget-3")
    assert (kept(settings), kept(settings, "other")) == ([], ["elsewhere"])


def test_what_has_expired_is_deleted_by_maintenance(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(settings, "old", days=-1)
    remember(settings, "new")
    monkeypatch.setattr(maintain, "TABLES", (MEMORIES,))

    maintain.run(spark, settings, Namespace(run_id="weekly"))

    assert kept(settings) == ["new"]
    assert Memories(settings).forget(Owner("acme", "wiki", "ann")).entries == 1


def test_a_compiled_program_goes_with_any_document_that_it_quotes(
    settings: Settings, forget: Callable[..., dict[str, int]]
) -> None:
    def compiled(version: str, doc_id: str) -> dict[str, Any]:
        lists = {"sources": ["wiki"], "doc_ids": [doc_id]}
        about = {"tenant_id": "acme", "program": "multihop", "version": version}
        return about | lists | {"state": f"{version}-zyx", "created_at": NOW}

    append(settings, COMPILED_PROGRAMS, [compiled("v1", "jane"), compiled("v2", "plan")])

    forget("forget-programs", "jane", source="wiki")

    assert [row["version"] for row in read_rows(settings, COMPILED_PROGRAMS)] == ["v2"]
    written = Path(COMPILED_PROGRAMS.path(settings.warehouse_root)).rglob("*")
    assert not any(b"v1-zyx" in path.read_bytes() for path in written if path.is_file())
