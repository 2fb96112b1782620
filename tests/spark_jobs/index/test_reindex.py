"""Another embedding model goes live behind the alias, the old one can be returned to, and drift is repaired."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakehouse.access.permissions import EVERYONE
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.index.embedding import model_folder
from lakehouse.index.layout import layout
from lakehouse.index.rows import IndexRow
from lakehouse.index.versions import live_version, versions
from lakehouse.retrieval.retriever import LIVE_AGE_S, Retriever
from lakehouse.storage.delta import upsert
from lakehouse.tables import EMBEDDINGS, FREQUENCIES, RECONCILE_RUNS
from lakehouse.text.name_keys import hashed
from spark_jobs.index import reindex, sync
from spark_jobs.index.name_frequencies import NEXT_BATCH
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("milvus")]

ORION = {"id": "orion", "title": "Orion", "text": "Orion serves the inference fleet."}
PAY = {"id": "pay", "title": "Salaries", "text": "Salaries of the Orion team.", "groups": ["hr"]}
# No other test has this text: what one tenant has embedded is not embedded again for another.
LUNCH = {"id": "lunch", "title": "Canteen", "text": "Noodles and soup wait for whoever came by train."}


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another model: untrained, with vectors of another length."""
    from sentence_transformers import SentenceTransformer, models
    from transformers import AutoTokenizer, BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models")
    tokenizer = AutoTokenizer.from_pretrained(model_folder("all-MiniLM-L6-v2"))
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    word = models.Transformer(str(folder / "bert"), max_seq_length=256)
    SentenceTransformer(modules=[word, models.Pooling(32)], device="cpu").save(str(folder / "small"))
    return str(folder / "small")


class Reader(threading.Thread):
    """A gateway's searches, one after the other, until it is stopped."""

    def __init__(self, lake: Lake) -> None:
        super().__init__()
        self._retriever = Retriever(lake.settings)
        self._tenant = lake.tenant
        self._finished = threading.Event()
        self.answers: list[set[str]] = []
        self.errors: list[Exception] = []

    def run(self) -> None:
        while not self._finished.wait(0.05):
            try:
                found = self._retriever.search(self._tenant, ["hr"], "Orion salaries", k=10, mode="hybrid")
                self.answers.append({passage.doc_id for passage in found})
            except Exception as error:
                self.errors.append(error)

    def finish(self) -> None:
        self._finished.set()
        self.join()
        self._retriever.close()


def test_another_model_goes_live_without_a_failed_search_and_the_old_one_can_be_returned_to(
    lake: Lake, small_model: str
) -> None:
    lake.ingest(lake.write(ORION, PAY))
    old = live_version(lake.settings, lake.tenant)
    reader = Reader(lake)
    reader.start()
    lake.run("reindex", embedding_model=small_model)
    reader.finish()

    new = live_version(lake.settings, lake.tenant)
    assert old
    assert new
    assert (old.dimension, new.dimension, new.chunks, new.recall) == (384, 32, 2, 1.0)
    assert reader.errors == []
    assert {frozenset(answer) for answer in reader.answers} == {frozenset({"orion", "pay"})}
    assert lake.found("Orion salaries") == {"orion"}

    # what is ingested now goes to the new one; the old one takes it in when it is returned to, and embeds no more
    counts = lake.ingest(lake.write(ORION, LUNCH), snapshot=True)
    assert (counts["added"], counts["deleted"], counts["embedded"]) == (1, 1, 1)
    assert lake.found("noodles", "hr") == {"orion", "lunch"}
    embeddings = len(by_model(lake, old.embedding_model))
    lake.run("reindex", embedding_model=old.embedding_model)

    assert lake.found("noodles", "hr") == {"orion", "lunch"}
    assert len(by_model(lake, old.embedding_model)) == embeddings + 1
    states = {version.collection: version.state for version in versions(lake.settings, lake.tenant)}
    assert states == {old.collection: "live", new.collection: "retired"}


def test_an_index_from_before_names_were_indexed_is_rebuilt_by_the_model_that_it_has(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(
            "lakehouse.index.collections.layout", lambda able, dimension: layout(replace(able, bm25=False), dimension)
        )
        before.setattr(sync, "LAYOUT", "1.1")
        lake.ingest(lake.write(ORION, PAY))
    old = live_version(lake.settings, lake.tenant)
    assert old
    retriever = Retriever(lake.settings)
    with pytest.raises(InvalidInput, match="lakehop reindex"):
        retriever.search(lake.tenant, [], "Orion", k=5, mode="multihop")

    lake.run("reindex", embedding_model=old.embedding_model)

    new = live_version(lake.settings, lake.tenant)
    assert new
    assert (new.collection != old.collection, new.embedding_model) == (True, old.embedding_model)
    time.sleep(LIVE_AGE_S)
    assert [one.doc_id for one in retriever.search(lake.tenant, [], "Orion", k=5, mode="multihop")] == ["orion"]
    retriever.close()


def test_an_index_of_an_earlier_release_is_built_again_by_the_next_ingest(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(sync, "LAYOUT", "1.1")
        lake.ingest(lake.write(ORION, PAY))
    old = live_version(lake.settings, lake.tenant)

    counts = lake.ingest(lake.write(ORION, PAY))

    new = live_version(lake.settings, lake.tenant)
    assert old
    assert new
    assert (old.layout, old.is_current, new.is_current, new.chunks) == ("1.1", False, True, 2)
    assert (counts["unchanged"], counts["embedded"]) == (2, 0)
    assert lake.found("Orion") == {"orion"}


def by_model(lake: Lake, model: str) -> list[dict[str, Any]]:
    from lakehouse.storage.delta import read_rows

    return read_rows(lake.settings, EMBEDDINGS, [("embedding_model", "=", model)], ["content_hash"])


@pytest.mark.long
def test_a_model_that_fails_the_check_leaves_the_old_index(
    lake: Lake, small_model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lake.ingest(lake.write(ORION))
    before = live_version(lake.settings, lake.tenant)
    monkeypatch.setattr(reindex, "MIN_RECALL", 1.1)

    with pytest.raises(LakehopError, match=r"finds 1.000 of the exact 10 nearest, and 1.1 is the least"):
        lake.run("reindex", embedding_model=small_model)
    with pytest.raises(LakehopError, match=r"'no-such-model': must be 'all-MiniLM-L6-v2' or a folder"):
        lake.run("reindex", embedding_model="no-such-model")
    monkeypatch.setattr(reindex, "load_embedder", lambda model: type("Short", (), {"max_tokens": 4}))
    with pytest.raises(LakehopError, match=r"reads 4 tokens, and chunks have up to \d+\. Set LAKEHOP_CHUNK_MAX_TOKENS"):
        lake.run("reindex", embedding_model=small_model)

    assert live_version(lake.settings, lake.tenant) == before
    assert lake.found("Orion") == {"orion"}


def test_every_drift_between_delta_and_milvus_is_found_and_repaired(lake: Lake) -> None:
    lake.ingest(lake.write(ORION, PAY, LUNCH))
    index = lake.index()
    collection = index.collections.live(lake.tenant) or ""
    held = {row["doc_id"]: row for row in index.reader.rows(collection, [*IndexRow.__annotations__], "", "")}
    opened = held["pay"] | {"acl_key": EVERYONE}
    edited = held["orion"] | {"text": "Orion is a van."}
    extra = held["lunch"] | {"chunk_id": "f" * 32, "doc_id": "ghost"}
    index.writer.upsert(collection, [opened, edited, extra])  # type: ignore[list-item]
    index.writer.delete(collection, [held["lunch"]["chunk_id"]])
    index.collections.settle(collection)
    assert lake.found("Orion salaries") == {"pay", "orion", "ghost"}
    counts = counted(lake)
    spoilt = {"tenant_id": lake.tenant, "ingest_run_id": "r", "chunks": 99}
    upsert(
        lake.settings, FREQUENCIES, [spoilt | {"key": key} for key in (hashed("term:orion"), hashed("term:nothing"))]
    )

    lake.run("reconcile_index", run_id=f"{lake.tenant}-1")
    lake.run("reconcile_index", run_id=f"{lake.tenant}-2")

    first, second = sorted(lake.rows(RECONCILE_RUNS), key=lambda row: row["run_id"])
    drifts = {"missing": 1, "extra": 1, "stale_text": 1, "stale_permissions": 1, "stale_counts": 2}
    assert first.items() >= drifts.items()
    assert second.items() >= dict.fromkeys(drifts, 0).items()
    assert (first["chunks"], first["collection"]) == (3, collection)
    restored = {row["doc_id"]: row for row in index.reader.rows(collection, [*IndexRow.__annotations__], "", "")}
    index.close()
    assert {name: without_vector(row) for name, row in restored.items()} == {
        name: without_vector(row) for name, row in held.items()
    }
    assert lake.found("Orion salaries") == {"orion", "lunch"}
    assert counted(lake) == counts
    lake.ingest(lake.write(ORION | {"text": "Orion sails."}))  # counting goes on from there
    assert counted(lake)[hashed("term:sail")] == 1


def counted(lake: Lake) -> dict[int, int]:
    return {row["key"]: row["chunks"] for row in lake.rows(FREQUENCIES) if row["key"] != NEXT_BATCH}


def without_vector(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "vector"}


@pytest.mark.long
def test_a_run_that_died_after_the_exchange_is_made_up_for(lake: Lake, small_model: str) -> None:
    lake.ingest(lake.write(ORION))
    before = versions(lake.settings, lake.tenant)
    lake.run("reindex", embedding_model=small_model)
    from lakehouse.index.versions import save

    new = versions(lake.settings, lake.tenant)[-1]
    save(lake.settings, *before, new.__class__(**{**vars(new), "state": "building", "live_from": None}))
    lake.ingest(lake.write(ORION, LUNCH))

    assert [version.state for version in versions(lake.settings, lake.tenant)] == ["retired", "live"]
    assert lake.found("noodles") == {"orion", "lunch"}


def test_a_tenant_without_chunks_cannot_be_reindexed(lake: Lake, small_model: str) -> None:
    with pytest.raises(LakehopError, match="has no chunk to embed"):
        lake.run("reindex", embedding_model=small_model)
