"""How often `multihop` declines: questions whose passages are in the corpus, and questions that belong to another one.

    python -m tests.benchmarks.declining ONE_POOL OTHER_POOL --cache FOLDER

Each pool is a folder with `corpus.jsonl` and `questions.jsonl`. A question is declined where no passage has a
probability of `agents.trail.NOTHING` or more. Weights are as shipped, so for corpora they were learned from, the first
number is a little too good.
"""

import argparse
from pathlib import Path

import numpy as np

from agents.trail import NOTHING
from lakehouse.multihop import rank, shipped_weights
from tests.benchmarks.pool_index import PoolIndex, Question
from tests.benchmarks.retrieval import gathered

FOUND = 20  # passages that `multihop` asks for
AT = (NOTHING, 0.1, 0.2, 0.3)


def highest_probability(pool: PoolIndex, question: Question) -> float:
    """Of the passages that the search by names gives, as the served search does it."""
    chosen = gathered(pool, question)
    found = rank(question.text, question.vector, chosen, shipped_weights(), k=FOUND, frequencies=pool.frequencies)
    return max((one.probability for one in found), default=0.0)


def main(folders: tuple[Path, Path], cache: Path) -> None:
    pools = [PoolIndex(folder, cache) for folder in folders]
    print("| corpus | questions of | " + " | ".join(f"below {at:g}" for at in AT) + " |")
    print("|---|---|" + "---|" * len(AT))
    for corpus in pools:
        for asked in pools:
            highest = np.array([highest_probability(corpus, question) for question in asked.questions])
            shares = " | ".join(f"{100 * float((highest < at).mean()):.1f} %" for at in AT)
            print(f"| `{corpus.name}` | `{asked.name}` ({len(highest)}) | {shares} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs=2, type=Path)
    parser.add_argument("--cache", required=True, type=Path, help="folder that keeps the vectors")
    given = parser.parse_args()
    main(tuple(given.folders), given.cache)
