"""What linking finds in a corpus, and what it costs: the tables of docs/links.md.

    python -m tests.benchmarks.links FOLDER                                # Markdown and HTML files
    python -m tests.benchmarks.links CORPUS.jsonl --questions QUESTIONS.jsonl   # {"id","title","text"}; {"gold_ids"}

Every document counts as one chunk. Spark is left out: this is the work that its tasks do, on one core.
"""

import itertools
import json
from collections import Counter
from pathlib import Path
from time import process_time
from typing import Any

import click

from lakehouse.text.hyperlinks import (
    declared_addresses,
    document_addresses,
    hyperlinks,
    link_addresses,
    without_targets,
)
from spark_jobs.documents.mentions import Matcher, names_of
from spark_jobs.formats.markdown_blocks import front_matter
from spark_jobs.formats.parsing import Document, parse_file, parse_line
from tests.spark_jobs.documents.links_by_definition import expected_links

_MAX_BYTES = 50_000_000


def documents(corpus: Path) -> list[Document]:
    if corpus.is_file():
        parsed = [parse_line(line, corpus.as_uri(), _MAX_BYTES) for line in corpus.read_bytes().splitlines()]
    else:
        files = [path for path in sorted(corpus.rglob("*")) if path.suffix in (".md", ".html")]
        visible = [path for path in files if not any(part[0] == "." for part in path.relative_to(corpus).parts)]
        parsed = [parse_file(path.relative_to(corpus).as_posix(), path.as_uri(), path.read_bytes()) for path in visible]
    return [document for document in parsed if isinstance(document, Document)]


def as_chunk(document: Document) -> dict[str, Any]:
    shared = {"tenant_id": "t", "source": "s", "acl_key": "everyone", "position": 0, "chunk_id": document.doc_id}
    return shared | {name: getattr(document, name) for name in ("doc_id", "title", "text", "uri")}


def shape(target: str) -> str:
    if "://" in target or target.startswith(("mailto:", "tel:")):
        return "absolute"
    if target.startswith("{"):
        return "template"
    return "file" if target.endswith((".png", ".jpg", ".jpeg", ".gif", ".svg")) else "path"


@click.command()
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@click.option("--questions", type=click.Path(exists=True, path_type=Path), help="JSONL with gold_ids.")
def main(corpus: Path, questions: Path | None) -> None:
    """Print links a document, link shapes, gold pairs that a link connects, and seconds per 1,000 documents."""
    corpus = corpus.resolve()
    chunks = [as_chunk(document) for document in documents(corpus)]
    links = expected_links(chunks)
    by_kind = Counter(link[-2] for link in links)
    print(f"{len(chunks)} documents; links a document: " + ", ".join(
        f"{kind} {count / len(chunks):.2f}" for kind, count in sorted(by_kind.items())
    ))  # fmt: skip
    _print_shapes(chunks)
    _print_cost(chunks)
    if questions:
        connected = {frozenset((link[0], link[3])) for link in links}
        gold = [json.loads(line)["gold_ids"] for line in questions.read_text().splitlines()]
        pairs = [frozenset(pair) for ids in gold for pair in itertools.combinations(dict.fromkeys(ids), 2)]
        print(f"gold pairs connected: {sum(pair in connected for pair in pairs) / len(pairs):.3f} of {len(pairs)}")


def _print_shapes(chunks: list[dict[str, Any]]) -> None:
    owners: dict[str, set[str]] = {}
    for chunk in chunks:
        own = document_addresses("s", chunk["doc_id"], chunk["uri"]) + declared_addresses(
            front_matter(chunk["text"]), "s"
        )
        for address in own:
            owners.setdefault(address, set()).add(chunk["doc_id"])
    found: Counter[tuple[str, str]] = Counter()
    for chunk in chunks:
        for link in hyperlinks(chunk["text"]):
            candidates = link_addresses(link.target, "s", chunk["doc_id"], chunk["uri"])
            by = next((one.split(":")[0] for one in candidates if len(owners.get(one, ())) == 1), "nowhere")
            found[shape(link.target), by] += 1
    for (kind, by), count in sorted(found.items()):
        print(f"  {kind:9} by {by:9} {count}")


def _print_cost(chunks: list[dict[str, Any]]) -> None:
    begun = process_time()
    matcher = Matcher(name.text for chunk in chunks for name in names_of(chunk["title"]))
    built = process_time()
    for chunk in chunks:
        list(matcher.find(without_targets(chunk["text"])))
    scanned = process_time()
    characters = sum(len(chunk["text"]) for chunk in chunks)
    print(
        f"names built in {built - begun:.2f} s; texts read in {(scanned - built) / len(chunks) * 1000:.2f} s "
        f"per 1,000 documents, {characters / (scanned - built) / 1e6:.1f} million characters a second"
    )


if __name__ == "__main__":
    main()
