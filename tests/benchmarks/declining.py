"""How often a question is declined before reading, where its passages are in the corpus and where they are not.

    python -m tests.benchmarks.declining ONE_POOL OTHER_POOL --cache FOLDER
    python -m tests.benchmarks.declining --manuals FOLDER --cache FOLDER

Each pool is a folder with `corpus.jsonl` and `questions.jsonl`; `--manuals` names the folder of the manuals. A question
is declined where no passage has a probability of `agents.reading.confidence.NOTHING` or more, and where no passage
speaks of its subject (`agents.reading.answerability`). The weights are the shipped ones, so for the corpora that they
were learned from the first numbers are a little too good.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from agents.programs.single_shot import SINGLE_SHOT_PASSAGES
from agents.reading.answerability import COMMON, decisive_terms, missing_terms, names_a_document
from agents.reading.confidence import NOTHING
from agents.reading.signatures import FOUND_PASSAGES
from lakehouse.index.passages import Passage
from lakehouse.retrieval.multihop.ranking import rank, shipped_weights
from lakehouse.text.terms import terms
from tests.benchmarks.manual_pool import manual_pools
from tests.benchmarks.pool_index import MemoryIndex, PoolIndex, PoolQuestion
from tests.benchmarks.retrieval import gathered

AT = (NOTHING, 0.1, 0.2, 0.3)
BOUNDS = (0.4, COMMON, 0.6, 0.7)


def found_passages(pool: MemoryIndex, question: PoolQuestion) -> list[Passage]:
    """The passages of a multi-hop search, as the served search ranks them."""
    chosen = gathered(pool, question)
    by_id = {candidate.chunk_id: candidate for candidate in chosen}
    best = rank(
        question.text, question.vector, chosen, shipped_weights(), k=FOUND_PASSAGES, frequencies=pool.frequencies
    )
    return [
        Passage(
            ranked.chunk_id,
            ranked.chunk_id,
            candidate.title,
            candidate.heading,
            candidate.text,
            "",
            ranked.score,
            probability=ranked.probability,
        )
        for ranked in best
        for candidate in [by_id[ranked.chunk_id]]
    ]


def lacks_subject(question: str, passages: Sequence[Passage], rarity: Mapping[str, float]) -> list[bool]:
    """Whether the question is declined because no passage speaks of its subject, at each of the bounds."""
    if names_a_document(question, passages):
        return [False] * len(BOUNDS)
    missing = missing_terms(passages, rarity)
    return [bool(decisive_terms(rarity, missing, bound)) for bound in BOUNDS]


def shares(values: np.ndarray) -> str:
    return " | ".join(f"{100 * share:.1f} %" for share in values.mean(axis=0))


def main(pools: Sequence[MemoryIndex]) -> None:
    by_probability, by_subject = [], []
    for corpus in pools:
        for asked in pools:
            searched = [found_passages(corpus, question) for question in asked.questions]
            highest = np.array(
                [max((passage.probability or 0.0 for passage in passages), default=0.0) for passages in searched]
            )
            rarity = [corpus.frequencies.idf(terms(question.text)) for question in asked.questions]
            few, all_passages = (
                np.array(
                    [
                        lacks_subject(question.text, passages[:k], rare)
                        for question, passages, rare in zip(asked.questions, searched, rarity, strict=True)
                    ]
                )
                for k in (SINGLE_SHOT_PASSAGES, FOUND_PASSAGES)
            )
            name = f"| `{corpus.name}` | `{asked.name}` ({len(searched)}) | "
            by_probability.append(f"{name}{shares(highest[:, None] < AT)} |")
            either = all_passages[:, [BOUNDS.index(COMMON)]] | (highest[:, None] < NOTHING)
            by_subject.append(f"{name}{shares(np.hstack([few[:, [BOUNDS.index(COMMON)]], all_passages, either]))} |")
    print("| corpus | questions of | " + " | ".join(f"below {at:g}" for at in AT) + " |")
    print("\n".join(["|---|---|" + "---|" * len(AT), *by_probability]))
    print(f"\n| corpus | questions of | {COMMON:g}, of {SINGLE_SHOT_PASSAGES} passages | ", end="")
    print(" | ".join(f"{bound:g}" for bound in BOUNDS) + f" | {COMMON:g}, or below {NOTHING:g} |")
    print("\n".join(["|---|---|" + "---|" * (len(BOUNDS) + 2), *by_subject]))


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
