"""After any history of edits, the links are those that the texts give from scratch."""

import random
from collections import Counter
from typing import Any

import pytest

from lakehouse.index.embedding import load_tokenizer
from lakehouse.storage.delta import open_table, upsert
from lakehouse.tables import CHUNKS, LINKS, MENTIONS, TITLES, Table
from spark_jobs.documents import link as link_documents
from spark_jobs.documents.chunk import chunk_rows
from spark_jobs.runner.change_feed import write_differences
from tests.spark_jobs.conftest import Lake
from tests.spark_jobs.documents.links_by_definition import expected_links

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# Names within names, namesakes, a common word, a disambiguated one: every edit can change the meaning of another text.
TITLES_POOL = ("York", "New York", "New York City", "Orion", "Orion (film)", "Overview", "Staten Island, New York")
SENTENCES = (
    "They met in New York City.", "They met in New York.", "He was the Duke of York.", "See Orion first.",
    "An Overview follows.", "The ferry goes to Staten Island.", "Read [this](b.md).", "Or [that](/c/).",
    "Nothing here.",
)  # fmt: skip


def put(lake: Lake, corpus: dict[str, dict[str, Any]]) -> None:
    """Bring `silver.chunks` to what the documents hold, as `chunk_documents` does, without its seconds."""
    tokenizer = load_tokenizer(lake.settings.embedding_model)
    wanted = [
        row for one in corpus.values() for row in chunk_rows(one | {"tenant_id": lake.tenant}, tokenizer, 32, "r")
    ]
    known = {row["chunk_id"]: row for row in lake.rows(CHUNKS)}
    upsert(lake.settings, CHUNKS, [row for row in wanted if known.get(row["chunk_id"]) != row])
    for gone in sorted(set(known) - {row["chunk_id"] for row in wanted}):
        open_table(lake.settings, CHUNKS).delete(f"tenant_id = '{lake.tenant}' AND chunk_id = '{gone}'")


def links(lake: Lake) -> set[tuple[Any, ...]]:
    names = ("chunk_id", "acl_key", "to_source", "to_doc_id", "to_chunk_id", "to_acl_key", "kind", "occurrences")
    rows = lake.rows(LINKS)
    assert len({tuple(row[name] for name in LINKS.key) for row in rows}) == len(rows)
    return {tuple(row[name] for name in names) for row in rows}


def document(chance: random.Random, doc_id: str) -> dict[str, Any]:
    """Two chunks or three."""
    text = "\n\n".join(f"# {n}\n\n" + " ".join(chance.choices(SENTENCES, k=4)) for n in range(2))
    groups = chance.choice([[], ["hr"]])
    shared = {"source": chance.choice(["s", "s2"]), "doc_id": doc_id, "uri": f"https://wiki/{doc_id}"}
    return shared | {"title": chance.choice(TITLES_POOL), "text": text, "acl_groups": groups}


def edited(corpus: dict[str, dict[str, Any]], chance: random.Random, step: int) -> dict[str, dict[str, Any]]:
    """One document gone, one new, one written anew, one with another title only, one with other readers only."""
    gone, anew, retitled, regrouped = chance.sample(sorted(corpus), 4)
    after = {doc_id: one for doc_id, one in corpus.items() if doc_id != gone}
    after |= {name: document(chance, name) for name in (anew, f"new{step}")}
    after[retitled] |= {"title": chance.choice(TITLES_POOL)}
    after[regrouped] |= {"acl_groups": ["board"]}
    return after


def comparable(rows: list[dict[str, Any]]) -> list[list[tuple[str, str]]]:
    left_out = ("tenant_id", "ingest_run_id")
    return sorted([(name, str(value)) for name, value in row.items() if name not in left_out] for row in rows)


def test_after_any_edits_and_a_crash_the_links_are_those_of_a_fresh_start(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(20261121)  # noqa: S311  the same edits each time
    monkeypatch.setattr(link_documents, "MAX_MENTIONED_IN", 4)
    ids = ("a.md", "b.md", "docs/c.md", "d.md", "e.md", "f.md", "g.md")
    corpus = {doc_id: document(chance, doc_id) for doc_id in ids}
    common = 0
    for step in range(3):
        put(lake, corpus)
        if step == 1:
            crash_before(monkeypatch, lake, LINKS)
        # names in parts or all at once: nothing in the result may tell
        monkeypatch.setattr(link_documents, "NAMES_AT_ONCE", 3 if step % 2 else 200_000)
        lake.run("link_documents")
        assert links(lake) == expected_links(lake.rows(CHUNKS))
        common += sum(row["is_common"] for row in lake.rows(TITLES))
        kinds = Counter(row["kind"] for row in lake.rows(LINKS))
        assert kinds["mention"] > 5
        assert kinds["hyperlink"] > 1
        corpus = edited(corpus, chance, step)
    assert common  # the rule was put to work

    fresh = Lake(lake.spark, lake.settings, lake.folder)
    rows = [row | {"tenant_id": fresh.tenant} for row in lake.rows(CHUNKS)]
    upsert(lake.settings, CHUNKS, rows)
    fresh.run("link_documents")
    for table in (MENTIONS, LINKS, TITLES):
        assert comparable(fresh.rows(table)) == comparable(lake.rows(table))
    assert fresh.run("link_documents") == {"links_written": 0, "links_deleted": 0}


def crash_before(monkeypatch: pytest.MonkeyPatch, lake: Lake, table: Table) -> None:
    """One run that writes everything up to this table and then dies."""

    def write(spark: Any, settings: Any, tenant: str, written: Table, changes: Any) -> tuple[int, int]:
        if written is table:
            raise RuntimeError("power cut")
        return write_differences(spark, settings, tenant, written, changes)

    with monkeypatch.context() as patch:
        patch.setattr(link_documents, "write_differences", write)
        with pytest.raises(Exception, match="power cut"):
            lake.run("link_documents")
