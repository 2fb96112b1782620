"""How often a question is declined before anything is read: its passages are in the corpus, or in another one.

    python -m tests.benchmarks.declining ONE_POOL OTHER_POOL --cache FOLDER
    python -m tests.benchmarks.declining --manuals FOLDER --cache FOLDER

Each pool is a folder with `corpus.jsonl` and `questions.jsonl`; `--manuals` names the folder of the manuals. A question
is declined where no passage has a probability of `agents.reading.reading_order.NOTHING` or more, and where nothing that
was found is about it (`agents.reading.answerability`). Weights are as shipped, so for corpora they were learned from,
the first numbers are a little too good.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from agents.programs.single_shot import SINGLE_SHOT_PASSAGES
from agents.reading.answerability import COMMON, decisive, is_named, unspoken
from agents.reading.reading_order import NOTHING
from agents.reading.signatures import FOUND_PASSAGES
from lakehouse.index.index import Passage
from lakehouse.retrieval.multihop.ranking import rank, shipped_weights
from lakehouse.text.terms import terms
from tests.benchmarks.manual_pool import manual_pools
from tests.benchmarks.pool_index import MemoryIndex, PoolIndex, Question
from tests.benchmarks.retrieval import gathered

AT = (NOTHING, 0.1, 0.2, 0.3)
BOUNDS = (0.4, COMMON, 0.6, 0.7)


def found_passages(pool: MemoryIndex, question: Question) -> list[Passage]:
    """What the search by names gives, as the served search does it."""
    chosen = gathered(pool, question)
    known = {one.chunk_id: one for one in chosen}
    best = rank(
        question.text, question.vector, chosen, shipped_weights(), k=FOUND_PASSAGES, frequencies=pool.frequencies
    )
    return [
        Passage(
            one.chunk_id, one.chunk_id, held.title, held.heading, held.text, "", one.score, probability=one.probability
        )
        for one in best
        for held in [known[one.chunk_id]]
    ]


def is_about_nothing(question: str, found: Sequence[Passage], rarity: Mapping[str, float]) -> list[bool]:
    """Whether it is declined for what it asks about, at each of the bounds."""
    if is_named(question, found):
        return [False] * len(BOUNDS)
    missing = unspoken(found, rarity)
    return [bool(decisive(rarity, missing, bound)) for bound in BOUNDS]


def shares(values: np.ndarray) -> str:
    return " | ".join(f"{100 * share:.1f} %" for share in values.mean(axis=0))


def main(pools: Sequence[MemoryIndex]) -> None:
    likely, about = [], []
    for corpus in pools:
        for asked in pools:
            found = [found_passages(corpus, question) for question in asked.questions]
            highest = np.array([max((one.probability or 0.0 for one in one_found), default=0.0) for one_found in found])
            rarity = [corpus.frequencies.idf(terms(one.text)) for one in asked.questions]
            few, all_found = (
                np.array(
                    [
                        is_about_nothing(one.text, some[:k], rare)
                        for one, some, rare in zip(asked.questions, found, rarity, strict=True)
                    ]
                )
                for k in (SINGLE_SHOT_PASSAGES, FOUND_PASSAGES)
            )
            name = f"| `{corpus.name}` | `{asked.name}` ({len(found)}) | "
            likely.append(f"{name}{shares(highest[:, None] < AT)} |")
            either = all_found[:, [BOUNDS.index(COMMON)]] | (highest[:, None] < NOTHING)
            about.append(f"{name}{shares(np.hstack([few[:, [BOUNDS.index(COMMON)]], all_found, either]))} |")
    print("| corpus | questions of | " + " | ".join(f"below {at:g}" for at in AT) + " |")
    print("\n".join(["|---|---|" + "---|" * len(AT), *likely]))
    print(f"\n| corpus | questions of | {COMMON:g}, of {SINGLE_SHOT_PASSAGES} passages | ", end="")
    print(" | ".join(f"{bound:g}" for bound in BOUNDS) + f" | {COMMON:g}, or below {NOTHING:g} |")
    print("\n".join(["|---|---|" + "---|" * (len(BOUNDS) + 2), *about]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="two pools")
    parser.add_argument("--manuals", type=Path, help="folder that holds the manuals, in place of pools")
    parser.add_argument("--cache", required=True, type=Path, help="folder that keeps the vectors")
    given = parser.parse_args()
    if given.manuals:
        main(manual_pools(given.manuals, given.cache))
    else:
        main([PoolIndex(folder, given.cache) for folder in given.folders])
