"""Our ingest against LlamaIndex's IngestionPipeline and Haystack's: speed, and the effect of a second run.

    .venv-bench/bin/python -m tests.benchmarks.pipelines FOLDER [--documents 100]

Each has the same Markdown files as documents with groups, the same model with the same batch size, and a fresh
`milvus-lite server`, in a process that has loaded its model before the clock starts. Four runs: all documents; the same
again; without one document; with the groups of another changed. After each run the index is queried for that document.
LlamaIndex has a docstore and upserts with deletion; Haystack's writer has the only policy of its Milvus store.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from pymilvus import MilvusClient
from sentence_transformers import SentenceTransformer

from lakehouse.index.embedding import BUNDLED_MODEL, CPU_BATCH, load_tokenizer, model_folder
from lakehouse.settings import PROJECT_ROOT, Settings
from tests.benchmarks.growth import document, ingested, milvus
from tests.ports import free_port

_CHUNK_TOKENS = 200
_CHUNK_CHARACTERS = 700  # Haystack counts tokens by another tokenizer; these are 200 of this one's, on average
_DIMENSION = 384
_GONE, _REGROUPED = 1, 2

Ingest = Callable[[Path, str], int | None]
"""Ingests a JSONL file under a run's name; returns the embedded texts where the product counts them itself."""


def lakehop(home: Path, uri: str) -> Ingest:
    from lakehouse.storage.delta import ensure_tables
    from lakehouse.storage.spark import spark_session

    settings = Settings(home=home, milvus_uri=uri, chunk_max_tokens=_CHUNK_TOKENS)
    ensure_tables(settings)
    spark = spark_session(settings, "benchmark")
    warm = home / "warm.jsonl"
    warm.write_text("".join(json.dumps(document(number, 0, 200)) + "\n" for number in range(200)))
    for run in ("warm1", "warm2"):
        ingested(spark, settings, "warm", [warm], run)

    def ingest(corpus: Path, run: str) -> int:
        return int(ingested(spark, settings, "docs", [corpus], run)["counts"]["embedded"])

    return ingest


def llama_index(home: Path, uri: str) -> Ingest:
    from llama_index.core import Document
    from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.storage.docstore import SimpleDocumentStore
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding
    from llama_index.vector_stores.milvus import MilvusVectorStore

    tokenizer = load_tokenizer(BUNDLED_MODEL)
    splitter = SentenceSplitter(
        chunk_size=_CHUNK_TOKENS,
        chunk_overlap=0,
        tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
    )
    embedding = HuggingFaceEmbedding(str(model_folder(BUNDLED_MODEL)), embed_batch_size=CPU_BATCH, device="cpu")
    pipeline = IngestionPipeline(
        transformations=[splitter, embedding],
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        vector_store=MilvusVectorStore(uri=uri, dim=_DIMENSION, use_async_client=False),
    )

    def ingest(corpus: Path, run: str) -> None:
        hidden = ["name", "groups"]
        pipeline.run(documents=[
            Document(
                text=row["text"], id_=row["id"], metadata={"name": row["id"], "groups": ",".join(row["groups"])},
                excluded_embed_metadata_keys=hidden, excluded_llm_metadata_keys=hidden,
            )
            for row in read(corpus)
        ])  # fmt: skip

    return ingest


def haystack(home: Path, uri: str) -> Ingest:
    from haystack import Document, Pipeline
    from haystack.components.preprocessors import RecursiveDocumentSplitter
    from haystack.components.writers import DocumentWriter
    from haystack.document_stores.types import DuplicatePolicy
    from haystack.utils import ComponentDevice
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder
    from milvus_haystack import MilvusDocumentStore, document_store
    from pymilvus import connections

    class Registered(MilvusClient):
        """milvus-haystack looks its connection up by a name that pymilvus 3 no longer registers."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            connections.connect(alias=self._using, uri=uri)

    document_store.MilvusClient = Registered
    pipeline = Pipeline()
    # Its own separators find sentences by NLTK's data, which would have to be downloaded.
    splitter = RecursiveDocumentSplitter(
        split_length=_CHUNK_CHARACTERS, split_unit="char", separators=["\n\n", "\n", ". ", " "]
    )
    pipeline.add_component("split", splitter)
    embedder = SentenceTransformersDocumentEmbedder(
        model=str(model_folder(BUNDLED_MODEL)), device=ComponentDevice.from_str("cpu"), batch_size=CPU_BATCH,
        progress_bar=False, normalize_embeddings=True, local_files_only=True,
    )  # fmt: skip
    pipeline.add_component("embed", embedder)
    store = MilvusDocumentStore(connection_args={"uri": uri})
    pipeline.add_component("write", DocumentWriter(store, policy=DuplicatePolicy.NONE))
    pipeline.connect("split", "embed")
    pipeline.connect("embed", "write")
    pipeline.warm_up()

    def ingest(corpus: Path, run: str) -> None:
        documents = [
            Document(content=row["text"], meta={"name": row["id"], "groups": ",".join(row["groups"])})
            for row in read(corpus)
        ]
        pipeline.run({"split": {"documents": documents}})

    return ingest


CONTESTANTS: dict[str, tuple[str, Callable[[Path, str], Ingest]]] = {
    "lakehop": ("lakehop", lakehop),
    "LlamaIndex": ("llama-index-core", llama_index),
    "Haystack": ("haystack-ai", haystack),
}
"""By name: the package, and the function that makes its pipeline."""


def read(corpus: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in corpus.read_text(encoding="utf-8").splitlines()]


def corpora(folder: Path, count: int) -> dict[str, list[dict[str, Any]]]:
    """The four runs' documents, spread over the folder."""
    texts = {file: file.read_text(encoding="utf-8", errors="replace") for file in sorted(folder.rglob("*.md"))}
    files = [file for file, text in texts.items() if text.strip()]
    chosen = files[:: max(1, len(files) // count)][:count]
    rows = [
        {"id": f"d{number}", "title": file.stem, "text": texts[file], "groups": ["staff"]}
        for number, file in enumerate(chosen)
    ]
    less = [row for number, row in enumerate(rows) if number != _GONE]
    regrouped = [row | {"groups": ["hr"]} if row["id"] == f"d{_REGROUPED}" else row for row in less]
    return {"first": rows, "unchanged": rows, "deleted": less, "regrouped": regrouped}


def held(uri: str, number: int) -> str:
    """The index's rows of a document, and the groups that may read them."""
    client = MilvusClient(uri=uri)
    try:
        rows = [
            row
            for collection in client.list_collections()
            for row in client.query(collection, filter="", limit=16_000, output_fields=["*"])
            if f"d{number}" in (row.get("name"), row.get("doc_id")) and row.get("tenant_id", "docs") == "docs"
        ]
    finally:
        client.close()
    groups = sorted({str(row.get("groups") or row.get("acl_key", ""))[:12] for row in rows})
    return f"{len(rows)} rows, groups {groups}"


def contest(name: str, folder: Path, count: int) -> None:
    """The four runs of one pipeline."""
    embedded = 0
    encode = SentenceTransformer.encode

    def counted(self: SentenceTransformer, sentences: Any, *args: Any, **options: Any) -> Any:
        nonlocal embedded
        embedded += 1 if isinstance(sentences, str) else len(sentences)
        return encode(self, sentences, *args, **options)

    SentenceTransformer.encode = counted  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder_name:
        home, port = Path(folder_name), free_port()
        uri = f"http://127.0.0.1:{port}"
        with milvus(Settings(home=home, milvus_uri=uri), port):
            ingest = CONTESTANTS[name][1](home, uri)
            corpus = home / "corpus.jsonl"
            for run, rows in corpora(folder, count).items():
                corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
                before, begun = embedded, time.perf_counter()
                own_count = ingest(corpus, run)
                took = time.perf_counter() - begun
                texts = embedded - before if own_count is None else own_count
                held_rows = {"deleted": held(uri, _GONE), "regrouped": held(uri, _REGROUPED)}.get(run, held(uri, _GONE))
                print(
                    f"{name} {version(CONTESTANTS[name][0])}, {run}: {took:.2f} s, {count / took:.2f} documents/s, "
                    f"{texts} texts embedded; of the changed document: {held_rows}",
                    flush=True,
                )


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--documents", default=100, show_default=True)
@click.option("--only", type=click.Choice(sorted(CONTESTANTS)), help="One pipeline, in this process.")
def main(folder: Path, documents: int, only: str | None) -> None:
    """Run each pipeline in a process of its own; ours in the project's own environment."""
    if only:
        contest(only, folder, documents)
        return
    for name in CONTESTANTS:
        python = PROJECT_ROOT / ".venv/bin/python" if name == "lakehop" else Path(sys.executable)
        command = [python, "-m", "tests.benchmarks.pipelines", folder, "--documents", str(documents), "--only", name]
        subprocess.run(command, check=False)


if __name__ == "__main__":
    main()
