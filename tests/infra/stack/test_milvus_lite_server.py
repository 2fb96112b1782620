"""The patched milvus-lite returns the results of the original code, to the last bit, after any history of writes."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import milvus_lite.db
import pytest
from milvus_lite import CollectionSchema, DataType, FieldSchema, Function, FunctionType, MilvusLite
from milvus_lite.engine.collection import Collection

from infra.stack import milvus_lite_server
from infra.stack.milvus_lite_server import SettledCollection

DIMENSION = 8
WORDS = [f"word{number}" for number in range(30)]
OUTPUT = ["chunk_id", "text", "acl_key"]
FILTERS = (
    None,
    'acl_key == "a"',
    'tenant_id == "acme" and acl_key in ["a", "b"]',
    'tenant_id == "acme" and acl_key in ["nobody"]',
    'acl_key in ["b", "c"]',
)
SCHEMA = CollectionSchema(
    fields=[
        FieldSchema("chunk_id", DataType.VARCHAR, is_primary=True, max_length=64),
        FieldSchema("tenant_id", DataType.VARCHAR, max_length=64),
        FieldSchema("acl_key", DataType.VARCHAR, max_length=64),
        FieldSchema("text", DataType.VARCHAR, max_length=1000, enable_analyzer=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=DIMENSION),
        FieldSchema("names", DataType.SPARSE_FLOAT_VECTOR),
        FieldSchema("terms", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True),
    ],
    functions=[Function("bm25", FunctionType.BM25, ["text"], ["terms"])],
)
INDEXES = {
    "vector": {"index_type": "AUTOINDEX", "metric_type": "COSINE"},
    "acl_key": {"index_type": "INVERTED", "metric_type": "NONE"},
    "names": {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"},
    "terms": {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "BM25", "params": {"bm25_k1": 0.9, "bm25_b": 0.4}},
}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MilvusLite]:
    monkeypatch.setattr(milvus_lite.db, "Collection", SettledCollection)
    opened = MilvusLite(str(tmp_path))
    yield opened
    opened.close()


def created(database: MilvusLite) -> SettledCollection:
    collection = database.create_collection("chunks", SCHEMA)
    for column, index in INDEXES.items():
        collection.create_index(column, index)
    collection.load()
    assert isinstance(collection, SettledCollection)
    return collection


def row(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "chunk_id": str(number),
        "tenant_id": "acme" if chance.random() < 0.95 else "other",
        "acl_key": chance.choice("abc"),
        "text": " ".join(chance.choices(WORDS, range(len(WORDS), 0, -1), k=chance.randint(0, 12))),
        "vector": [chance.gauss(0, 1) for _ in range(DIMENSION)],
        "names": {0: 1e-6} | {chance.randint(1, 40): chance.choice((0.5, 1.0, 0.3)) for _ in range(5)},
    }


def searches(chance: random.Random) -> Iterator[dict[str, Any]]:
    data: dict[str, list[Any]] = {
        "vector": [[chance.gauss(0, 1) for _ in range(DIMENSION)]],
        "names": [{0: 1e-6} | {chance.randint(1, 45): chance.random() for _ in range(8)}],
        "terms": [" ".join(chance.choices([*WORDS, "unknown"], k=4))],
    }
    for column, vectors in data.items():
        for expr in FILTERS:
            yield {
                "anns_field": column,
                "query_vectors": vectors,
                "expr": expr,
                "top_k": chance.choice((1, 5, 200)),
                "output_fields": OUTPUT,
            }


def compare(collection: SettledCollection, chance: random.Random) -> int:
    """Make every kind of search by the patched and the original code; return the number of equal results."""
    results = 0
    collection._wait_for_bg()  # an index built between the two searches would change the last bits
    for search in searches(chance):
        patched = collection.search(**search)
        assert patched == Collection.search(collection, **search), search
        results += len(patched[0])
    return results


@pytest.mark.parametrize("seed", range(6))
def test_patched_and_original_search_agree_after_any_history(database: MilvusLite, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (no secret)
    collection = created(database)
    results = 0
    for _ in range(15):
        match chance.choice(("upsert", "upsert", "delete", "flush", "flush", "reload", "restart")):
            case "upsert":
                collection.upsert([row(chance.randrange(80), chance) for _ in range(chance.randint(1, 30))])
            case "delete":
                collection.delete([str(chance.randrange(80)) for _ in range(chance.randint(1, 10))])
            case "flush":
                collection.flush()
            case "reload":
                collection.release()
                collection.load()
            case "restart":
                collection.close()
                database._collections.clear()
                collection = database.get_collection("chunks")
                collection.load()
        results += compare(collection, chance)
    collection.flush()
    assert collection._memtable.size() == 0
    results += compare(collection, chance)
    assert results > 100


@pytest.mark.parametrize(("installed", "collection"), [("3.2.2", SettledCollection), ("3.3.0", Collection)])
def test_another_version_of_milvus_lite_runs_unpatched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, installed: str, collection: type
) -> None:
    monkeypatch.setattr(milvus_lite.db, "Collection", Collection)
    monkeypatch.setattr(milvus_lite_server, "version", lambda name: installed)
    monkeypatch.setattr(milvus_lite_server, "milvus_lite_main", lambda arguments: 0)

    assert milvus_lite_server.main() == 0

    assert milvus_lite.db.Collection is collection
    assert ("milvus-lite 3.3.0" in caplog.text) == (installed == "3.3.0")
