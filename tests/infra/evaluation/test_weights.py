"""`lakehop weights` learns from a tenant's own index, with the callers' permissions."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.evaluation.weights import learn_weights
from lakehouse.access.permissions import acl_key
from lakehouse.errors import InvalidInput
from lakehouse.index.embedding import BUNDLED_MODEL, load_embedder
from lakehouse.index.index import Index
from lakehouse.index.rows import IndexRow
from lakehouse.index.versions import Version, save
from lakehouse.retrieval.multihop.ranking import Weights
from lakehouse.settings import Settings
from lakehouse.storage.delta import append, upsert
from lakehouse.tables import ACL_KEYS, FREQUENCIES
from lakehouse.text.name_keys import counted_keys, hashed
from tests.lite_server import LiteServer

pytestmark = pytest.mark.integration


def documents() -> Iterator[tuple[str, str, str]]:
    for n in range(20):
        yield f"bridge{n}", f"Arch{n} Bridge", f"Arch{n} Bridge was designed by the architect Ida{n} Kestrel{n}."
        yield f"person{n}", f"Ida{n} Kestrel{n}", f"Ida{n} Kestrel{n} was born in the town of Marl{n}."


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("weights")
    server = LiteServer(folder / "milvus", free_port())
    try:
        server.start()
        settings = Settings(home=folder, milvus_uri=f"http://127.0.0.1:{server.port}")
        fill(settings)
        yield settings
    finally:
        server.stop()


def fill(settings: Settings) -> None:
    readers = acl_key(["staff"])
    upsert(settings, ACL_KEYS, [{"tenant_id": "acme", "acl_key": readers, "acl_groups": ["staff"]}])
    embedder = load_embedder(BUNDLED_MODEL)
    index = Index(settings)
    collection = index.collections.create("acme", embedder.dimension)
    texts = [f"{title} {text}" for _, title, text in documents()]
    index.writer.upsert(collection, (
        IndexRow(chunk_id=doc_id, tenant_id="acme", acl_key=readers, doc_id=doc_id, source="s", title=title,
                 heading="", text=text, uri="", vector=vector)
        for (doc_id, title, text), vector in zip(documents(), embedder.encode(texts), strict=True)
    ))  # fmt: skip
    index.collections.publish("acme", collection)
    index.close()
    save(settings, Version("acme", collection, BUNDLED_MODEL, embedder.dimension, datetime.now(UTC)))
    counts = Counter(key for _, title, text in documents() for key in counted_keys(title, "", text))
    shared = {"tenant_id": "acme", "ingest_run_id": "r"}
    append(settings, FREQUENCIES, [shared | {"key": hashed(key), "chunks": count} for key, count in counts.items()])


def questions(folder: Path, count: int) -> Path:
    path = folder / "questions.jsonl"
    lines = [
        {"id": str(n), "question": f"In which town was the architect of Arch{n} Bridge born?",
         "gold_ids": [f"bridge{n}", f"person{n}"]}
        for n in range(count)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_weights_are_learned_from_the_live_index_and_written_to_be_read(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "weights.json"

    told = learn_weights(settings, questions(tmp_path, 20), "acme", ["staff"], out, lambda line: None)

    assert told["questions"] == 20
    assert told["best_possible"]["recall_at_2"] == 1.0
    assert told["after_cross_validated"]["recall_at_2"] >= max(0.9, told["before"]["recall_at_2"] - 0.05)
    assert Weights.read(out)
    with pytest.raises(InvalidInput, match="gold_ids"):  # who may read nothing learns nothing
        learn_weights(settings, questions(tmp_path, 20), "acme", ["guests"], out, lambda line: None)


def test_few_questions_teach_nothing(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"3 questions have gold_ids; at least 20 are needed"):
        learn_weights(settings, questions(tmp_path, 3), "acme", ["staff"], tmp_path / "w.json", lambda line: None)
