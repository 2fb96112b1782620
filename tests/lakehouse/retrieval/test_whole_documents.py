"""Documents as their chunks in order: what the caller may not read is not there."""

from typing import Any

import pytest

from lakehouse.access.permissions import Caller, acl_key
from lakehouse.retrieval.whole_documents import beginnings, chunks_of
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS, CHUNKS

ENGINEER = Caller("acme", ("eng",), app="wiki", key_id="key_1")


def chunk(tenant: str, doc_id: str, position: int, group: str) -> dict[str, Any]:
    text = dict.fromkeys(("source", "content_hash", "uri", "ingest_run_id"), "x")
    counts = dict.fromkeys(("start_offset", "end_offset", "token_count"), 1)
    return (
        text
        | counts
        | {
            "tenant_id": tenant,
            "chunk_id": f"{doc_id}-{position}",
            "doc_id": doc_id,
            "position": position,
            "title": doc_id,
            "heading_path": ["Guide", "Install"],
            "text": f"{doc_id} part {position}",
            "acl_groups": [group],
            "acl_key": acl_key([group]),
        }
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings(warehouse=str(tmp_path_factory.mktemp("lake")))
    keys = [{"tenant_id": "acme", "acl_key": acl_key([name]), "acl_groups": [name]} for name in ("eng", "hr")]
    delta.upsert(settings, ACL_KEYS, keys)
    rows = [("acme", "b", 1, "eng"), ("acme", "b", 0, "eng"), ("acme", "a", 0, "eng"), ("acme", "pay", 0, "hr")]
    delta.upsert(settings, CHUNKS, [chunk(*row) for row in (*rows, ("other", "b", 0, "eng"))])
    return settings


def test_a_document_is_its_readable_chunks_in_order(settings: Settings) -> None:
    passages = chunks_of(settings, ENGINEER, None, [("doc_id", "in", ["b", "pay"])])

    assert [(one.chunk_id, one.heading) for one in passages] == [("b-0", "Guide › Install"), ("b-1", "Guide › Install")]


def test_beginnings_come_in_the_order_asked_for_and_without_what_is_not_readable(settings: Settings) -> None:
    passages = beginnings(settings, ENGINEER, None, ["pay", "b", "a", "none"])

    assert [passage.chunk_id for passage in passages] == ["b-0", "a-0"]
