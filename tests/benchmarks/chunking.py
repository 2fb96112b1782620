"""Our chunker against four splitters: tokens a second a core, with the same tokenizer and chunk size.

    make bench                                                          # builds .venv-bench, which holds the peers
    .venv-bench/bin/python -m tests.benchmarks.chunking FOLDER…         # Markdown files, each text once

Peers split by the same `tokenizers` object, without overlap, in the mode that their documentation gives for Markdown.
All take turns in one process on one core. Processor time is measured, and a ratio is of two neighbouring runs of one
round, so other work on the machine affects all alike. Each round begins with a new splitter and tokenizer.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the import: one process is one core

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import click
from tokenizers import Tokenizer

from lakehouse.index.embedding import BUNDLED_MODEL, load_tokenizer
from spark_jobs.documents.chunking import chunk_document

CHUNK_TOKENS = 256

Split = Callable[[str], list[str]]


def lakehop(tokenizer: Tokenizer) -> Split:
    return lambda text: [chunk.text for chunk in chunk_document(text, "", tokenizer, CHUNK_TOKENS)]


def langchain(tokenizer: Tokenizer) -> Split:
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter.from_language(
        Language.MARKDOWN, chunk_size=CHUNK_TOKENS, chunk_overlap=0, length_function=_counting(tokenizer)
    ).split_text


def llama_index(tokenizer: Tokenizer) -> Split:
    from llama_index.core.node_parser import SentenceSplitter

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    return SentenceSplitter(chunk_size=CHUNK_TOKENS, chunk_overlap=0, tokenizer=ids).split_text


def chonkie_recursive(tokenizer: Tokenizer) -> Split:
    from chonkie import RecursiveChunker

    chunker = RecursiveChunker(tokenizer=tokenizer, chunk_size=CHUNK_TOKENS)
    return lambda text: [chunk.text for chunk in chunker(text)]


def chonkie_sentence(tokenizer: Tokenizer) -> Split:
    from chonkie import SentenceChunker

    chunker = SentenceChunker(tokenizer=tokenizer, chunk_size=CHUNK_TOKENS, chunk_overlap=0)
    return lambda text: [chunk.text for chunk in chunker(text)]


def chonkie_token(tokenizer: Tokenizer) -> Split:
    from chonkie import TokenChunker

    chunker = TokenChunker(tokenizer=tokenizer, chunk_size=CHUNK_TOKENS, chunk_overlap=0)
    return lambda text: [chunk.text for chunk in chunker(text)]


def semantic(tokenizer: Tokenizer) -> Split:
    from semantic_text_splitter import MarkdownSplitter

    return MarkdownSplitter.from_huggingface_tokenizer(tokenizer, CHUNK_TOKENS).chunks


CONTESTANTS: dict[str, tuple[str, Callable[[Tokenizer], Split]]] = {
    "lakehop": ("lakehop", lakehop),
    "LangChain, recursive": ("langchain-text-splitters", langchain),
    "LlamaIndex, sentence": ("llama-index-core", llama_index),
    "chonkie, recursive": ("chonkie", chonkie_recursive),
    "chonkie, sentence": ("chonkie", chonkie_sentence),
    "chonkie, token": ("chonkie", chonkie_token),
    "semantic-text-splitter": ("semantic-text-splitter", semantic),
}
"""By name: the package, and the function that makes its splitter."""


def _counting(tokenizer: Tokenizer) -> Callable[[str], int]:
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def read_texts(folders: Sequence[Path]) -> list[str]:
    """Every distinct Markdown file below the folders, in order."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for folder in folders for path in _files(folder))
    return list(dict.fromkeys(text for text in texts if text.strip()))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.md"))


def check(split: Split, texts: Sequence[str], tokenizer: Tokenizer) -> str:
    """Describe a splitter's output: chunks, chunks too long to embed, and the share of the text kept."""
    count = _counting(tokenizer)
    kept = total = too_long = chunks = 0
    for text in texts:
        parts = split(text)
        total += len("".join(text.split()))
        kept += len("".join("".join(parts).split()))
        too_long += sum(count(part) > CHUNK_TOKENS for part in parts)
        chunks += len(parts)
    return f"{chunks} chunks, {too_long} over {CHUNK_TOKENS} tokens, {kept / total:.1%} of the text kept"


def seconds(make: Callable[[Tokenizer], Split], texts: Sequence[str]) -> float:
    """Processor seconds for all texts, with a new splitter and tokenizer."""
    split = make(load_tokenizer(BUNDLED_MODEL))
    begun = time.process_time()
    for text in texts:
        split(text)
    return time.process_time() - begun


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} rounds)"


def speed_up(folders: Sequence[Path], rounds: int) -> None:
    """Print the throughput of two processes, a core each, over that of one process; each cuts all texts."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    ratios = []
    for _ in range(rounds):
        alone = _run_workers(folders, cores[:1])
        together = _run_workers(folders, cores)
        ratios.append(2 * alone / together)
    print(f"from one core to two: {spread(ratios)}; load of the machine {os.getloadavg()[0]:.1f}")


def _run_workers(folders: Sequence[Path], cores: Sequence[int]) -> float:
    """Wall time of the slowest worker; each is bound to its core, and all begin together."""
    command = [sys.executable, "-m", "tests.benchmarks.chunking", *map(str, folders), "--worker"]
    workers = [
        subprocess.Popen([*command, str(core)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for core in cores
    ]
    for worker in workers:
        assert worker.stdout
        worker.stdout.readline()  # it has loaded the texts and its tokenizer
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return max(float(worker.communicate()[0]) for worker in workers)


def work(folders: Sequence[Path], core: int) -> None:
    """Cut all texts on one core after a line on standard input, and print the seconds."""
    os.sched_setaffinity(0, {core})
    texts = read_texts(folders)
    split = lakehop(load_tokenizer(BUNDLED_MODEL))
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.perf_counter()
    for text in texts:
        split(text)
    print(time.perf_counter() - begun, flush=True)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", default=5, show_default=True)
@click.option("--worker", type=int, hidden=True, help="Cut everything on this core and print the seconds.")
def main(folders: tuple[Path, ...], rounds: int, worker: int | None) -> None:
    """Check every splitter's output, then let them take turns; then our own speed-up from one core to two."""
    if worker is not None:
        work(folders, worker)
        return
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    texts = read_texts(folders)
    tokenizer = load_tokenizer(BUNDLED_MODEL)
    tokens = sum(map(_counting(tokenizer), texts))
    print(f"{len(texts)} documents, {tokens:,} tokens, chunks of {CHUNK_TOKENS}, tokenizer of {BUNDLED_MODEL}")
    for name, (package, make) in CONTESTANTS.items():
        print(f"{name} {version(package)}: {check(make(tokenizer), texts, tokenizer)}")
    took: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, (_, make) in CONTESTANTS.items():
            took[name].append(seconds(make, texts))
    for name, times in took.items():
        ratios = [theirs / own for theirs, own in zip(times, took["lakehop"], strict=True)]
        print(f"{name}: {tokens / statistics.median(times):,.0f} tokens/s; lakehop is {spread(ratios)} times as fast")
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    speed_up(folders, rounds)


if __name__ == "__main__":
    main()
