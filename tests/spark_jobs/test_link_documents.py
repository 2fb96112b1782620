"""Links after any history of ingests are those that the texts give from scratch; a reader's filter stands on both ends."""

import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from lakehouse.permissions import acl_key
from lakehouse.tables import CHUNKS, LINKS, MENTIONS, TITLES
from spark_jobs import link_documents
from spark_jobs.hyperlinks import declared_addresses, document_addresses, without_targets
from spark_jobs.mentions import Matcher, longest, names_of
from tests.spark_jobs.conftest import Lake

pytestmark = pytest.mark.integration

STEPS = ("parse_documents", "chunk_documents", "link_documents")
# Names within names, namesakes, a common word, a disambiguated one: every edit can change the meaning of another text.
TITLES_POOL = ("York", "New York", "New York City", "Orion", "Orion (film)", "Overview", "Staten Island, New York")
SENTENCES = (
    "They met in New York City.", "They met in New York.", "He was the Duke of York.", "See Orion first.",
    "An Overview follows.", "The ferry goes to Staten Island.", "Read [this](b.md).", "Or [that](/c/).", "Nothing here.",
)  # fmt: skip


def expected_links(chunks: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """The links by definition: every name sought in every text, in plain Python."""
    first = {(c["source"], c["doc_id"]): c for c in chunks if c["position"] == 0}
    having: dict[str, set[tuple[str, str]]] = defaultdict(set)
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for document, chunk in first.items():
        for name in names_of(chunk["title"]):
            having[name.text].add(document)
        declared = declared_addresses(chunk["text"], chunk["source"])
        for address in (*document_addresses(*document, chunk["uri"]), *declared):
            owners[address].add(document)
    matcher = Matcher(having)
    named = {
        chunk["chunk_id"]: Counter(m.name for m in longest(matcher.find(without_targets(chunk["text"]))))
        for chunk in chunks
    }
    mentioned_in: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for chunk in chunks:
        document = (chunk["source"], chunk["doc_id"])
        for name in named[chunk["chunk_id"]]:
            if document not in having[name]:
                mentioned_in[name].add(document)
    limit = max(link_documents.MAX_MENTIONED_IN, int(link_documents.MAX_MENTIONED_SHARE * len(first)))
    counts: Counter[tuple[Any, ...]] = Counter()
    for chunk in chunks:
        document = (chunk["source"], chunk["doc_id"])
        for name, count in named[chunk["chunk_id"]].items():
            if document not in having[name] and len(mentioned_in[name]) <= limit:
                for to in having[name]:
                    counts[chunk["chunk_id"], to, "mention"] += count
        for row in link_documents.mention_rows(chunk | {"finds": []}, "r"):
            to = next((owners[a] for a in row["addresses"] if len(owners[a]) == 1), set())
            if row["kind"] == "hyperlink" and to and document not in to:
                counts[chunk["chunk_id"], next(iter(to)), "hyperlink"] += row["occurrences"]
    acl = {chunk["chunk_id"]: chunk["acl_key"] for chunk in chunks}
    return {
        (chunk_id, acl[chunk_id], *to, first[to]["chunk_id"], first[to]["acl_key"], kind, count)
        for (chunk_id, to, kind), count in counts.items()
    }


def links(lake: Lake) -> set[tuple[Any, ...]]:
    names = ("chunk_id", "acl_key", "to_source", "to_doc_id", "to_chunk_id", "to_acl_key", "kind", "occurrences")
    rows = lake.rows(LINKS)
    assert len({tuple(row[name] for name in LINKS.key) for row in rows}) == len(rows)
    return {tuple(row[name] for name in names) for row in rows}


def document(chance: random.Random, doc_id: str) -> dict[str, Any]:
    text = " ".join(chance.choices(SENTENCES, k=3))
    return {"id": doc_id, "title": chance.choice(TITLES_POOL), "text": text, "groups": chance.choice([[], ["hr"]])}


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_edits_the_links_are_those_of_a_fresh_start(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(link_documents, "MAX_MENTIONED_IN", 2)
    corpus = {doc_id: document(chance, doc_id) for doc_id in ("a.md", "b.md", "docs/c.md", "d", "e", "f")}
    seen = 0
    for step in range(6):
        # names in three parts or in one: nothing in the result may tell
        monkeypatch.setattr(link_documents, "NAMES_AT_ONCE", 200_000 if step % 2 else 3)
        lake.run(*STEPS, path=lake.write(*corpus.values()), snapshot=True)
        assert links(lake) == expected_links(lake.rows(CHUNKS))
        seen += len(lake.rows(LINKS))
        for doc_id in chance.sample(sorted(corpus), 2):
            if chance.random() < 0.3:
                del corpus[doc_id]
            else:
                corpus[doc_id] |= chance.choice([document(chance, doc_id), {"title": chance.choice(TITLES_POOL)}])
        corpus |= {f"new{step}": document(chance, f"new{step}")}
    assert seen > 10

    tables = (MENTIONS, LINKS, TITLES)
    incremental = [comparable(lake, table) for table in tables]
    lake.tenant += "again"
    for table in tables:
        assert lake.rows(table) == []
    monkeypatch.undo()
    monkeypatch.setattr(link_documents, "MAX_MENTIONED_IN", 2)
    del corpus[f"new{step}"]


def comparable(lake: Lake, table: Any) -> list[tuple[Any, ...]]:
    left_out = ("tenant_id", "chunk_id", "to_chunk_id", "ingest_run_id")
    return sorted(tuple(str(value) for name, value in row.items() if name not in left_out) for row in lake.rows(table))
