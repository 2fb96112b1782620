"""Measure what a core does in a second and the bytes of a row; compute from them what a number of documents takes.

    python -m tests.benchmarks.sizing rates FOLDER… > rates.json   # the work of Spark's tasks, on one core
    python -m tests.benchmarks.sizing rows HOME > rows.json         # after `lakehop ingest`: bytes in the tables' files
    python -m tests.benchmarks.sizing plan rates.json rows.json     # the tables of docs/sizing.md; --help: what to vary

It counts processor time, not wall time, so a busy machine gives the numbers of an idle machine.
"""

import json
import os
import sys
from collections import Counter, defaultdict
from pathlib import Path
from time import process_time

import click
import psutil

from lakehouse.index.embedding import embedded_text, load_embedder, load_tokenizer
from lakehouse.settings import Settings
from lakehouse.storage.delta import existing_table
from lakehouse.tables import CHUNKS, DOCUMENTS, EMBEDDINGS
from spark_jobs.documents.chunk import chunk_rows
from spark_jobs.formats.document import ParsedDocument
from spark_jobs.sources.files import needs_sandbox, read_path
from spark_jobs.sources.folders import local_files
from spark_jobs.sources.inputs import limits_of

SAMPLE = 512  # chunks that are tokenized and embedded
INDEXED = ("chunk_id", "acl_key", "doc_id", "source", "title", "text", "uri")


def cpu_s() -> float:
    """Processor seconds of this process and of all its children, ended or running."""
    times = os.times()
    live = (child.cpu_times() for child in psutil.Process().children(recursive=True))
    return sum(times[:4]) + sum(spent.user + spent.system for spent in live)


@click.group()
def main() -> None:
    """Measure rates and row sizes, and compute a plan from them."""


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def rates(folders: tuple[Path, ...]) -> None:
    """Measure one core on the files of the folders: parse by kind, chunk, tokenize, embed."""
    import torch

    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    settings = Settings()
    parse_s: dict[str, list[float]] = defaultdict(list)
    documents: list[ParsedDocument] = []
    for folder in folders:
        for file in local_files(folder):
            if file["problem"]:
                continue
            spent_s = cpu_s if needs_sandbox(file["doc_id"]) else process_time  # finding children costs time
            begun = spent_s()
            found = list(read_path(file["doc_id"], file["uri"], file["path"], limits_of(settings)))
            taken = [document for document in found if isinstance(document, ParsedDocument)]
            if taken:
                parse_s[Path(file["path"]).suffix].append((spent_s() - begun) / len(taken))
            documents += taken

    tokenizer = load_tokenizer(settings.embedding_model)
    rows = [vars(document) | {"tenant_id": "t", "source": "s", "acl_groups": []} for document in documents]
    begun = process_time()
    chunks = [chunk for row in rows for chunk in chunk_rows(row, tokenizer, settings.chunk_max_tokens, "r")]
    chunk_s = process_time() - begun

    texts = [embedded_text(chunk["title"], chunk["heading_path"], chunk["text"]) for chunk in chunks]
    step = max(1, len(texts) // SAMPLE)
    sample = texts[::step]
    begun = process_time()
    tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch(sample))
    tokenize_s = process_time() - begun
    embedder = load_embedder(settings.embedding_model)
    embedder.encode(sample[:8])
    begun = process_time()
    embedder.encode(sample)
    embed_s = process_time() - begun

    # the first of a kind starts the converting process, which a Spark worker keeps
    kinds = {kind: sum(spent[1:]) / len(spent[1:]) for kind, spent in parse_s.items() if len(spent) > 1}
    text_bytes = sum(len((document.text or "").encode()) for document in documents)
    measured = {
        "documents": len(documents),
        "parse_s_per_document": {kind: round(spent, 5) for kind, spent in sorted(kinds.items())},
        "text_bytes_per_document": round(text_bytes / len(documents)),
        "chunks_per_document": round(len(chunks) / len(documents), 2),
        "tokens_per_chunk": round(tokens / len(sample), 1),
        "indexed_bytes_per_chunk": round(
            sum(len(chunk[name].encode()) for chunk in chunks for name in INDEXED) / len(chunks)
        ),
        "chunks_cut_per_core_s": round(len(chunks) / chunk_s),
        "chunks_tokenized_per_core_s": round(len(sample) / tokenize_s),
        "chunks_embedded_per_core_s": round(len(sample) / embed_s, 1),
    }
    json.dump(measured, sys.stdout, indent=2)


@main.command()
@click.argument("home", type=click.Path(exists=True, path_type=Path))
def rows(home: Path) -> None:
    """Print bytes per row and rows per document of the tables under HOME."""
    settings = Settings(home=home)
    sizes: dict[str, dict[str, float]] = {}
    documents = 0
    for table in (DOCUMENTS, CHUNKS, EMBEDDINGS):
        opened = existing_table(settings, table)
        files = opened.get_add_actions(flatten=True) if opened else None
        total: Counter[str] = Counter()
        for name in ("size_bytes", "num_records"):
            total[name] = sum(files.column(name).to_pylist()) if files else 0
        if not total["num_records"]:
            raise click.ClickException(f"{home}: no rows in {table.name}. Run `lakehop ingest` with that home first.")
        documents = documents or total["num_records"]
        sizes[table.name] = {
            "bytes_per_row": round(total["size_bytes"] / total["num_records"]),
            "rows_per_document": round(total["num_records"] / documents, 2),
        }
    json.dump(sizes, sys.stdout, indent=2)


# Assumed, not measured; docs/sizing.md gives the reasons.
GPU_FLOPS = 989e12  # H100 and H200 SXM, dense FP16, by their data sheets
GPU_SHARE = 0.15  # of the peak, for a model as small as these
MODELS = {
    # parameters that multiply each token (no embedding tables), layers, width
    "MiniLM-L6 (384)": (10.6e6, 6, 384),
    "BGE-M3 (1024)": (303e6, 24, 1024),
}
SHARD_BYTES_S = 10e6  # bytes a second that a shard of Milvus takes in
SEGMENT_BYTES = 1e9
FILE_BYTES = 128e6  # what `maintain` compacts to
HNSW_M = 18  # what AUTOINDEX of an open-source Milvus builds with


def flops_per_chunk(parameters: float, layers: int, width: int, tokens: float) -> float:
    """Two operations for each parameter and token, and attention's two products for each pair of tokens."""
    return 2 * parameters * tokens + 4 * layers * width * tokens**2


@main.command()
@click.argument("rates_file", type=click.Path(exists=True, path_type=Path))
@click.argument("rows_file", type=click.Path(exists=True, path_type=Path))
@click.option("--documents", default=50_000_000, show_default=True)
@click.option("--mix", default=".md=0.7,.docx=0.1,.pdf=0.2", show_default=True, help="Kinds and their shares.")
@click.option("--cores", default=256, show_default=True, help="Cores of all executors.")
@click.option("--gpus", default=8, show_default=True)
@click.option("--cores-per-gpu", default=16, show_default=True, help="Cores that tokenize for a GPU.")
def plan(
    rates_file: Path, rows_file: Path, documents: int, mix: str, cores: int, gpus: int, cores_per_gpu: int
) -> None:
    """Print the time, storage and memory for a number of documents, as Markdown."""
    rate, weights = json.loads(rates_file.read_text()), json.loads(rows_file.read_text())
    shares = {kind: float(share) for kind, share in (part.split("=") for part in mix.split(","))}
    chunks = documents * rate["chunks_per_document"]
    parse_s = sum(share * rate["parse_s_per_document"][kind] for kind, share in shares.items())
    stages = {
        "parse": documents * parse_s,
        "cut into chunks": chunks / rate["chunks_cut_per_core_s"],
        "embed MiniLM-L6 on CPUs": chunks / rate["chunks_embedded_per_core_s"],
    }
    print(f"{documents:,} documents, {chunks:,.0f} chunks.\n")
    print(f"| stage | core hours | hours on {cores} cores |\n|---|---|---|")
    for name, seconds in stages.items():
        print(f"| {name} | {seconds / 3600:,.0f} | {seconds / 3600 / cores:,.1f} |")

    print(f"\n| model | GPU hours by arithmetic | GPU hours by tokenizing | hours on {gpus} GPUs |\n|---|---|---|---|")
    tokenized = chunks / rate["chunks_tokenized_per_core_s"] / cores_per_gpu / 3600
    for name, shape in MODELS.items():
        computed = chunks * flops_per_chunk(*shape, rate["tokens_per_chunk"]) / (GPU_FLOPS * GPU_SHARE) / 3600
        print(f"| {name} | {computed:,.1f} | {tokenized:,.1f} | {max(computed, tokenized) / gpus:,.1f} |")

    print("\n| table | rows, million | GB | files of 128 MB |\n|---|---|---|---|")
    for name, weight in weights.items():
        count = documents * weight["rows_per_document"]
        size = count * weight["bytes_per_row"]
        print(f"| `{name}` | {count / 1e6:,.0f} | {size / 1e9:,.0f} | {size / FILE_BYTES:,.0f} |")

    print("\n| Milvus | MiniLM-L6 (384) | BGE-M3 (1024) |\n|---|---|---|")
    widths = [shape[2] for shape in MODELS.values()]
    vectors = [chunks * 4 * width for width in widths]
    fields = chunks * rate["indexed_bytes_per_chunk"]
    lines = {
        "vectors, GB": [size / 1e9 for size in vectors],
        "other fields, GB": [fields / 1e9] * 2,
        "segments of 1 GB": [(size + fields) / SEGMENT_BYTES for size in vectors],
        "HNSW in memory, GB": [(size + chunks * 8 * HNSW_M) / 1e9 for size in vectors],
        "IVF_SQ8 in memory, GB": [size / 4e9 for size in vectors],
        "DiskANN in memory, GB": [size / 8e9 for size in vectors],
        "hours to write, 8 shards": [(size + fields) / (8 * SHARD_BYTES_S) / 3600 for size in vectors],
    }
    for name, values in lines.items():
        print(f"| {name} | " + " | ".join(f"{value:,.0f}" for value in values) + " |")


if __name__ == "__main__":
    main()
