"""What `silver.links` must hold, by definition: plain Python over all chunks at once, with none of the job's joins."""

from collections import Counter, defaultdict
from typing import Any

from lakehouse.text.hyperlinks import declared_addresses, document_addresses, without_targets
from spark_jobs.documents import link as link_documents
from spark_jobs.documents.mentions import Matcher, longest, names_of
from spark_jobs.formats.markdown_blocks import front_matter


def expected_links(chunks: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """The links by definition: every name sought in every text, in plain Python."""
    first = {(c["source"], c["doc_id"]): c for c in chunks if c["position"] == 0}
    having: dict[str, set[tuple[str, str]]] = defaultdict(set)
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for document, chunk in first.items():
        for name in names_of(chunk["title"]):
            having[name.text].add(document)
        declared = declared_addresses(front_matter(chunk["text"]), chunk["source"])
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
