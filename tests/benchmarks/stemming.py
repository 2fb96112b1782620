"""Our stemmer beside Snowball's: recall of search, and time for each word.

    python -m tests.benchmarks.stemming POOL POOL [--questions 100] [--passages 1200]

A pool is as in `tests.benchmarks.retrieval`. Of each, the first questions are asked over the passages that they need
and others drawn at random. The shipped weights were fitted to our stemmer.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import click
import numpy as np
import Stemmer

from lakehouse.retrieval.multihop import features, texts
from lakehouse.retrieval.multihop.ranking import SHIPPED, Weights, score
from lakehouse.text import terms
from lakehouse.text.search_text import words
from tests.benchmarks.pool_index import MemoryIndex, PoolQuestion, Row, read_lines
from tests.benchmarks.retrieval import features_of, recalls

OURS = terms.stem
_snowball = Stemmer.Stemmer("english", 0)


@lru_cache(maxsize=1 << 17)
def snowball(word: str) -> str:
    """The stem of a folded word by Snowball's English rules; words of other scripts pass unchanged, as by ours."""
    return _snowball.stemWord(word) if len(word) >= 4 and word.isascii() and word.isalpha() else word


def use(stem: Callable[[str], str]) -> None:
    """Stem by this function everywhere."""
    for module in (terms, features, texts):
        vars(module)["stem"] = stem
    for cached in (value for module in (features, texts) for value in vars(module).values()):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def sample(folder: Path, questions: int, passages: int) -> tuple[list[Row], np.ndarray, list[PoolQuestion]]:
    """Rows with their vectors (n, dimension), and questions about them."""
    from lakehouse.index.embedding import BUNDLED_MODEL, embedded_text, load_embedder

    documents = read_lines(folder / "corpus.jsonl")
    asked = read_lines(folder / "questions.jsonl")[:questions]
    number_of = {document["id"]: number for number, document in enumerate(documents)}
    needed = {number_of[gold] for question in asked for gold in question["gold_ids"]}
    others = np.random.default_rng(0).permutation(len(documents))[:passages].tolist()
    kept = {old: new for new, old in enumerate(sorted(needed | set(others)))}
    rows = [Row(documents[old]["title"], "", documents[old]["text"]) for old in kept]
    embedder = load_embedder(BUNDLED_MODEL)
    vectors = embedder.encode([embedded_text(row.title, (), row.text) for row in rows])
    asked_vectors = embedder.encode([question["question"] for question in asked])
    pool_questions = [
        PoolQuestion(
            question["question"],
            vector,
            frozenset(kept[number_of[gold]] for gold in question["gold_ids"]),
            len(question["gold_ids"]),
            question["id"],
        )
        for question, vector in zip(asked, asked_vectors, strict=True)
    ]
    return rows, vectors, pool_questions


def microseconds_per_word(stem: Callable[[str], str], words: Sequence[str]) -> float:
    """Processor time for a word that was not stemmed before."""
    begun = time.process_time()
    for word in words:
        stem(word)
    return (time.process_time() - begun) / len(words) * 1e6


@click.command()
@click.argument("pools", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--questions", default=100)
@click.option("--passages", default=1200)
def main(pools: tuple[Path, ...], questions: int, passages: int) -> None:
    """Print recall at 2, 5 and 10 by multi-hop search and by BM25 alone, for both stemmers."""
    weights = Weights.read(SHIPPED)
    for folder in pools:
        rows, vectors, asked = sample(folder, questions, passages)
        words = sorted({word for row in rows for word in words(row.text)})
        for name, stem in (("ours", OURS), ("Snowball", snowball)):
            per_word = microseconds_per_word(stem.__wrapped__, words)
            use(stem)
            pool = MemoryIndex(folder.name, rows, vectors, asked)
            multihop = []
            for question in asked:
                numbers, example = features_of(pool, question)
                order = np.argsort(-score(example.own, example.pair, weights), kind="stable")
                multihop.append([numbers[place] for place in order])
            gold = [question.gold for question in asked]
            by_words = recalls([pool.lexical(question, 50) for question in asked], gold)
            print(
                f"{folder.name}, {len(rows)} passages, {name}: multihop {_shown(recalls(multihop, gold))}, "
                f"BM25 {_shown(by_words)}, {per_word:.1f} µs a new word",
                flush=True,
            )


def _shown(recall: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in recall)


if __name__ == "__main__":
    sys.exit(main())
