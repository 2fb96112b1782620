"""The four steps of an ingest together, on real Delta and a real Milvus: only what changed is done again."""

import pytest

from lakehouse.errors import Unavailable
from lakehouse.index.index import Index
from lakehouse.storage.delta import open_table
from lakehouse.tables import ACL_KEYS, CHUNKS, EMBEDDINGS, Table
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("milvus")]

# Two chunks: neither half leaves room for the other.
FLEET, SIZE = "Orion serves the inference fleet. " * 20, "Orion runs 8 replicas at 48 streams. " * 15
ORION = {"id": "orion", "title": "Orion", "text": f"# Fleet\n\n{FLEET}\n\n# Size\n\n{SIZE}"}
PAY = {"id": "pay", "title": "Salaries", "text": "Orion salaries are 41 thousand.", "groups": ["hr"]}


def last_operation(lake: Lake, table: Table) -> str:
    return str(open_table(lake.settings, table).history(1)[0]["operation"])


def test_an_unchanged_corpus_costs_nothing(lake: Lake) -> None:
    path = lake.write(ORION, PAY)
    assert lake.ingest(path, groups="staff") == {
        "seen": 2, "added": 2, "changed": 0, "unchanged": 0, "deleted": 0, "quarantined": 0, "skipped": 0,
        "chunks_written": 3, "chunks_deleted": 0, "embedded": 3,
    }  # fmt: skip
    before = [lake.version(table) for table in (CHUNKS, EMBEDDINGS, ACL_KEYS)]

    again = lake.ingest(path, groups="staff")

    assert (again["unchanged"], again["chunks_written"], again["embedded"]) == (2, 0, 0)
    assert [lake.version(table) for table in (CHUNKS, EMBEDDINGS, ACL_KEYS)] == before


def test_an_edit_touches_the_chunk_that_it_changed(lake: Lake) -> None:
    lake.ingest(lake.write(ORION, PAY), groups="staff")
    assert last_operation(lake, CHUNKS) == "WRITE"  # rows that are all new need no merge
    kept = {row["chunk_id"] for row in lake.rows(CHUNKS) if "replicas" not in row["text"]}

    edited = ORION | {"text": ORION["text"].replace("8 replicas", "9 replicas")}
    counts = lake.ingest(lake.write(edited, PAY), groups="staff")

    assert last_operation(lake, CHUNKS) == "MERGE"
    assert (counts["changed"], counts["unchanged"]) == (1, 1)
    assert (counts["chunks_written"], counts["chunks_deleted"], counts["embedded"]) == (1, 1, 1)
    assert kept < {row["chunk_id"] for row in lake.rows(CHUNKS)}
    texts = {passage.text for passage in lake.search("How many replicas?", "staff")}
    assert any("9 replicas" in text for text in texts)
    assert not any("8 replicas" in text for text in texts)


def test_a_regrouped_document_is_found_by_its_new_readers_alone_and_not_embedded_again(lake: Lake) -> None:
    lake.ingest(lake.write(ORION, PAY), groups="staff")
    assert lake.found("Orion salaries", "staff") == {"orion"}
    assert lake.found("Orion salaries", "hr") == {"pay"}

    counts = lake.ingest(lake.write(ORION, PAY | {"groups": ["staff"]}), groups="staff")

    assert (counts["changed"], counts["embedded"]) == (1, 0)
    assert lake.found("Orion salaries", "staff") == {"orion", "pay"}
    assert lake.found("Orion salaries", "hr") == set()


def test_what_a_snapshot_no_longer_holds_is_found_no_more(lake: Lake) -> None:
    lake.ingest(lake.write(ORION, PAY), groups="staff")

    counts = lake.ingest(lake.write(ORION), groups="staff", snapshot=True)

    assert (counts["deleted"], counts["chunks_written"], counts["chunks_deleted"], counts["embedded"]) == (1, 0, 1, 0)
    assert lake.found("Orion salaries", "staff", "hr") == {"orion"}


def test_an_index_that_milvus_lost_is_built_again_without_embedding(lake: Lake) -> None:
    path = lake.write(ORION, PAY)
    lake.ingest(path, groups="staff")
    index = Index(lake.settings)
    index.collections.drop_tenant(lake.tenant)
    index.close()

    counts = lake.ingest(path, groups="staff")

    assert (counts["chunks_written"], counts["embedded"]) == (0, 0)
    assert lake.found("Orion salaries", "staff", "hr") == {"orion", "pay"}


def test_milvus_down_during_the_sync_loses_nothing_and_a_text_that_stands_twice_is_embedded_once(lake: Lake) -> None:
    path = lake.write(*({"id": name, "title": "Same", "text": f"One text of {lake.tenant}."} for name in ("a", "b")))
    down = lake.settings.model_copy(update={"milvus_uri": "http://127.0.0.1:1"})
    with pytest.raises(Unavailable, match=r"Milvus at http://127.0.0.1:1.*lakehop up"):
        lake.ingest(path, run_id=f"{lake.tenant}-down", settings=down)

    counts = lake.ingest(path, run_id=f"{lake.tenant}-down")

    assert (counts["added"], counts["chunks_written"], counts["embedded"]) == (2, 2, 1)
    assert lake.found("One text") == {"a", "b"}
