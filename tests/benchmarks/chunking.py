"""Our chunker against four splitters: tokens a second, the same tokenizer and chunk size, one core, taking turns.

    make bench

The corpus is the environment's own documentation (`infra/corpus.py`). Peers split by the same `tokenizers` object,
without overlap, in the mode that their documentation gives for Markdown. Time is the process's, so other work on the
machine weighs on all alike; the ratio of each round is of runs next to each other. Speed-up is wall time.
"""

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the import: one core each

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from tokenizers import Tokenizer

from infra.corpus import document, installed_packages
from lakehouse.embedding import BUNDLED_MODEL, load_tokenizer
from spark_jobs.chunking import chunk_document

CHUNK_TOKENS = 256
ROUNDS = 7

Split = Callable[[str], list[str]]


def ours(tokenizer: Tokenizer, text: str) -> list[str]:
    return [chunk.text for chunk in chunk_document(text, "", tokenizer, CHUNK_TOKENS)]


def peers(tokenizer: Tokenizer) -> dict[str, Split]:
    from chonkie import RecursiveChunker
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter
    from llama_index.core.node_parser import SentenceSplitter
    from semantic_text_splitter import MarkdownSplitter

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    langchain = RecursiveCharacterTextSplitter.from_language(
        Language.MARKDOWN, chunk_size=CHUNK_TOKENS, chunk_overlap=0, length_function=count
    )
    llama = SentenceSplitter(
        chunk_size=CHUNK_TOKENS,
        chunk_overlap=0,
        tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
    )
    chonkie = RecursiveChunker(tokenizer=tokenizer, chunk_size=CHUNK_TOKENS)
    semantic = MarkdownSplitter.from_huggingface_tokenizer(tokenizer, CHUNK_TOKENS)
    return {
        "langchain-text-splitters": langchain.split_text,
        "llama-index-core": llama.split_text,
        "chonkie": lambda text: [chunk.text for chunk in chonkie(text)],
        "semantic-text-splitter": semantic.chunks,
    }


def seconds(split: Split, texts: list[str]) -> float:
    begun = time.process_time()
    for text in texts:
        split(text)
    return time.process_time() - begun


def check(name: str, split: Split, texts: list[str], tokenizer: Tokenizer) -> None:
    """A splitter that loses text, or makes chunks too long to embed, has not done the work."""
    kept = total = too_long = chunks = 0
    for text in texts:
        parts = split(text)
        total += len("".join(text.split()))
        kept += len("".join("".join(parts).split()))
        lengths = [len(tokenizer.encode(part, add_special_tokens=False).ids) for part in parts]
        too_long += sum(length > CHUNK_TOKENS for length in lengths)
        chunks += len(parts)
    print(f"{name}: {chunks} chunks, {too_long} over {CHUNK_TOKENS} tokens, {kept / total:.1%} of the text kept")


def _chunk_part(texts: list[str]) -> None:
    tokenizer = load_tokenizer(BUNDLED_MODEL)
    for text in texts:
        ours(tokenizer, text)


def speed_up(texts: list[str]) -> None:
    """Wall time of one process against two that share the texts, taking turns."""
    halves = [texts[::2], texts[1::2]]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_chunk_part, halves, chunksize=1)
        ratios = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            pool.apply(_chunk_part, (texts,))
            one = time.perf_counter() - begun
            begun = time.perf_counter()
            pool.map(_chunk_part, halves, chunksize=1)
            ratios.append(one / (time.perf_counter() - begun))
    print(f"from one process to two: {spread(ratios)}; load of the machine {os.getloadavg()[0]:.1f}")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f}, {len(values)} rounds)"


def main() -> None:
    tokenizer = load_tokenizer(BUNDLED_MODEL)
    texts = [document(package)["text"] for package in installed_packages()]
    tokens = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts)
    print(f"{len(texts)} documents, {tokens:,} tokens, chunks of {CHUNK_TOKENS}")
    contestants = {"lakehop": partial(ours, tokenizer), **peers(tokenizer)}
    for name, split in contestants.items():
        check(name if name == "lakehop" else f"{name} {version(name)}", split, texts, tokenizer)
    took: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, split in contestants.items():
            took[name].append(seconds(split, texts))
    for name, times in took.items():
        ratios = [theirs / own for theirs, own in zip(times, took["lakehop"], strict=True)]
        print(f"{name}: {tokens / statistics.median(times):,.0f} tokens/s; lakehop/{name}: {spread(ratios)}")
    speed_up(texts * 4)


if __name__ == "__main__":
    sys.exit(main())
