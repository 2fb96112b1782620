"""Multi-hop retrieval measured, and its weights learned: the tables of docs/evidence/multihop-search.md.

    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER             # side by side, cross-validated
    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER --ablate    # without one part each
    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER --write     # learn from all, ship the weights
    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER --manuals FOLDER    # and from questions over manuals

A pool is a folder with corpus.jsonl ({"id","title","text"}) and questions.jsonl ({"id","question","gold_ids"}). The
index is in memory in place of Milvus and Spark; it answers the same two round trips, and the rest is the product's
code. The folder `--manuals` holds the corpora of manual_questions.jsonl. Weights are learned from the questions and
from made-up questions over the passages; the made-up ones are the same in every fold.
"""

import random
import statistics
import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import click
import numpy as np

from lakehouse.index.lexical import fuse
from lakehouse.retrieval.multihop.candidates import (
    FETCHED,
    FIRST_DEPTH,
    STARTS,
    choose_candidates,
    choose_seeds,
    names_to_find,
)
from lakehouse.retrieval.multihop.features import OWN, PAIR, CandidateFeatures
from lakehouse.retrieval.multihop.ranking import SEEDS, SHIPPED, Weights, probabilities, score
from lakehouse.retrieval.multihop.texts import CandidatePassage
from lakehouse.retrieval.multihop.training import Example, calibration_error, learn
from tests.benchmarks.made_up import made_up
from tests.benchmarks.manual_pool import ManualPool, manual_pools
from tests.benchmarks.pool_index import MemoryIndex, PoolIndex, PoolQuestion

CUTS = (2, 5, 10)
FOLDS = 5
_SEED = 7
PRACTICE = 1000
"""Made-up questions per pool."""
MANUALS_COUNT = 3
"""Weight of a question over a manual in learning: there are 64, beside 600 over passages."""
PARTS = {
    "residuals": ("residual", "residual_share", "residual_sentence", "residual_at_name", "through_name",
                  "joint_coverage",
                  "connected_residual", "connected_at_name"),
    "shared names": ("shared", "shared_squared", "shared_sentence"),
    "links": ("link", "link_named", "link_sentence", "link_focus", "named_link", "back", "back_sentence"),
    "sentences": ("link_sentence", "back_sentence", "shared_sentence", "residual_sentence", "residual_at_name",
                  "through_name", "connected_at_name", "sentence_coverage", "text_coverage", "text_share"),
    "names in the question": ("named", "named_share", "named_whole", "link_named", "named_link"),
    "the walk": ("walk", "walk_log"),
    "words (bm25)": ("bm25", "words_rank", "coverage", "title_coverage"),
    "vectors": ("cosine", "cosine_gap", "dense_rank", "cosine_left", "cosine_sum", "cosine_span"),
    "vectors of pairs": ("cosine_left", "cosine_sum", "cosine_span"),
    "all pairs": tuple(PAIR),
}  # fmt: skip


class Prepared:
    """A pool's questions with their candidates and features, and made-up questions as practice."""

    def __init__(self, pool: MemoryIndex) -> None:
        self.pool = pool
        self.numbers: list[list[int]] = []
        self.examples: list[Example] = []
        self.seconds: list[float] = []
        for question in pool.questions:
            begun = time.thread_time()
            numbers, example = features_of(pool, question)
            self.seconds.append(time.thread_time() - begun)
            self.numbers.append(numbers)
            self.examples.append(example)
        made = [] if isinstance(pool, ManualPool) else made_up(pool, PRACTICE)
        self.practice = [features_of(pool, question)[1] for question in made]

    @property
    def weight(self) -> int:
        """How often each question counts in learning."""
        return MANUALS_COUNT if isinstance(self.pool, ManualPool) else 1

    def with_changes(self, **changed: list[Example]) -> "Prepared":
        """A copy with other examples."""
        other = copy(self)
        other.__dict__.update(changed)
        return other

    def recalls(self, totals: Sequence[np.ndarray], of: Sequence[int] | None = None) -> list[float]:
        """Recall at CUTS by these scores, of all questions or of some numbers."""
        chosen = range(len(totals)) if of is None else of
        ranked = [[self.numbers[at][place] for place in np.argsort(-totals[at], kind="stable")] for at in chosen]
        return recalls(ranked, [self.pool.questions[at].gold for at in chosen])


def gathered(pool: MemoryIndex, question: PoolQuestion) -> list[CandidatePassage]:
    """The candidates that the product's two searches bring for scoring."""
    rankings = [list(map(str, pool.dense(question, FIRST_DEPTH))), list(map(str, pool.lexical(question, FIRST_DEPTH)))]
    fused = [pool.candidate(int(number)) for number, _ in fuse(rankings, FIRST_DEPTH)]
    seeds, scores = choose_seeds(question.text, question.vector, fused, pool.frequencies)
    wanted = names_to_find(question.text, seeds, scores, pool.frequencies)
    seed_numbers = {int(seed.chunk_id) for seed in seeds}
    by_names = pool.by_names(wanted, FETCHED + STARTS)
    new = [(number, value) for number, value in by_names if number not in seed_numbers]
    fetched = [pool.candidate(number) for number, _ in new]
    return choose_candidates(seeds, fetched, [value for _, value in new], question.vector)


def features_of(pool: MemoryIndex, question: PoolQuestion) -> tuple[list[int], Example]:
    """The numbers of a question's candidates, and their features as a training example."""
    chosen = gathered(pool, question)
    numbers = [int(candidate.chunk_id) for candidate in chosen]
    evidence = CandidateFeatures(question.text, question.vector, chosen, SEEDS, pool.frequencies)
    needed = np.array([number in question.gold for number in numbers])
    return numbers, Example(evidence.own(), evidence.pair(), needed)


def recalls(ranked: Sequence[Sequence[int]], gold: Sequence[frozenset[int]]) -> list[float]:
    """Mean share of the gold passages among the first 2, 5 and 10, in per cent."""
    return [
        100
        * statistics.fmean(
            len(set(numbers[:cut]) & wanted) / len(wanted) for numbers, wanted in zip(ranked, gold, strict=True)
        )
        for cut in CUTS
    ]


def cross_validated(pools: Sequence[Prepared]) -> tuple[list[list[np.ndarray]], list[list[np.ndarray]]]:
    """Scores and probabilities of every question, by weights learned from all pools without its fold."""
    folds = [np.random.default_rng(_SEED).permutation(len(pool.examples)) % FOLDS for pool in pools]
    totals = [[np.empty(0)] * len(pool.examples) for pool in pools]
    predicted = [[np.empty(0)] * len(pool.examples) for pool in pools]
    for fold in range(FOLDS):
        others = [np.flatnonzero(of_pool != fold) for of_pool in folds]
        weights = learned(pools, others)
        for number, pool in enumerate(pools):
            for at in np.flatnonzero(folds[number] == fold):
                example = pool.examples[at]
                totals[number][at] = score(example.own, example.pair, weights)
                predicted[number][at] = probabilities(totals[number][at], example.own, weights)
    return totals, predicted


def learned(pools: Sequence[Prepared], of: Sequence[Sequence[int]] | None = None) -> Weights:
    """Weights learned from all questions, or from some numbers of each pool."""
    chosen = of or [range(len(pool.examples)) for pool in pools]
    return learn(
        [pool.examples[at] for pool, ats in zip(pools, chosen, strict=True) for at in ats for _ in range(pool.weight)],
        [example for pool in pools for example in pool.practice],
    )


def without(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """The examples with some features set to zero."""
    own = np.array([name not in names for name in OWN], dtype=np.float32)
    pair = np.array([name not in names for name in PAIR], dtype=np.float32)
    return [Example(example.own * own, example.pair * pair, example.needed) for example in examples]


def row(label: str, numbers: Sequence[float], more: str = "") -> None:
    print(f"  {label:34}" + " / ".join(f"{number:5.1f}" for number in numbers) + f"  {more}", flush=True)


def baselines(prepared: Prepared) -> None:
    pool, gold = prepared.pool, [question.gold for question in prepared.pool.questions]
    rankings: dict[str, list[list[int]]] = {"dense": [], "lexical": [], "hybrid": []}
    for question in pool.questions:
        dense, words = pool.dense(question, FIRST_DEPTH), pool.lexical(question, FIRST_DEPTH)
        rankings["dense"].append(dense)
        rankings["lexical"].append(words)
        fused = fuse([list(map(str, dense)), list(map(str, words))], max(CUTS))
        rankings["hybrid"].append([int(number) for number, _ in fused])
    for name, ranked in rankings.items():
        row(name, recalls(ranked, gold))


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder that keeps vectors."
)
@click.option("--manuals", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of the manuals.")
@click.option("--ablate", is_flag=True, help="Learn again without each part.")
@click.option("--failures", type=int, default=0, help="Print this many questions that miss a passage in the first 5.")
@click.option("--write", is_flag=True, help="Learn from all questions and write the shipped weights.")
def main(
    folders: tuple[Path, ...], cache: Path, manuals: Path | None, ablate: bool, failures: int, write: bool
) -> None:
    """Print recall at 2, 5 and 10 in per cent, and milliseconds of one core a question."""
    pools = [Prepared(PoolIndex(folder.resolve(), cache)) for folder in folders]
    pools += [Prepared(pool) for pool in (manual_pools(manuals, cache) if manuals else [])]
    totals, predicted = cross_validated(pools)
    for number, prepared in enumerate(pools):
        spent = sorted(second * 1000 for second in prepared.seconds)
        print(f"{prepared.pool.name}: {len(prepared.pool.rows)} passages, {len(prepared.examples)} questions, "
              f"indexed in {prepared.pool.build_seconds:.1f} s; p50 {statistics.median(spent):.1f} ms, "
              f"p99 {spent[int(len(spent) * 0.99)]:.1f} ms a question without encoding and index")  # fmt: skip
        baselines(prepared)
        row(
            "first search",
            prepared.recalls([example.own[:, list(OWN).index("first_search")] for example in prepared.examples]),
        )
        if SHIPPED.exists() and not write:
            shipped = Weights.read(SHIPPED)
            row(
                "multihop, shipped weights",
                prepared.recalls([score(e.own, e.pair, shipped) for e in prepared.examples]),
            )
        row("multihop, cross-validated", prepared.recalls(totals[number]))
        for hops in sorted({question.hops for question in prepared.pool.questions}):
            of = [at for at, question in enumerate(prepared.pool.questions) if question.hops == hops]
            row(f"  {len(of)} questions of {hops} passages", prepared.recalls(totals[number], of))
        row(
            "best that the candidates allow",
            prepared.recalls([example.needed.astype(float) for example in prepared.examples]),
        )
        probability = np.concatenate([values[np.argsort(-values)[:10]] for values in predicted[number]])
        needed = np.concatenate(
            [e.needed[np.argsort(-v)[:10]] for e, v in zip(prepared.examples, predicted[number], strict=True)]
        )
        print(f"  calibration error of the first 10: {calibration_error(probability, needed):.3f}")
        if failures:
            show_failures(prepared, totals[number], failures)
    if len(pools) > 1:
        transfer(pools)
    if ablate:
        ablation(pools)
    if write:
        learned(pools).write(SHIPPED)


def transfer(pools: Sequence[Prepared]) -> None:
    for prepared in pools:
        weights = learned([other for other in pools if other is not prepared])
        row(
            f"learned without {prepared.pool.name}",
            prepared.recalls([score(e.own, e.pair, weights) for e in prepared.examples]),
        )


def ablation(pools: Sequence[Prepared]) -> None:
    for part, names in {"made-up questions": (), **PARTS}.items():
        fewer = [
            prepared.with_changes(
                examples=without(prepared.examples, names), practice=without(prepared.practice, names) if names else []
            )
            for prepared in pools
        ]
        totals, _ = cross_validated(fewer)
        print(f"without {part}")
        for number, prepared in enumerate(pools):
            row(prepared.pool.name, prepared.recalls(totals[number]))


def show_failures(prepared: Prepared, totals: Sequence[np.ndarray], count: int) -> None:
    missed = []
    for at, question in enumerate(prepared.pool.questions):
        ranked = [prepared.numbers[at][place] for place in np.argsort(-totals[at], kind="stable")]
        ranks = {gold: ranked.index(gold) + 1 if gold in ranked else 0 for gold in question.gold}
        if any(not 0 < rank <= 5 for rank in ranks.values()):
            missed.append((question, ranks, ranked))
    titles = [row.title for row in prepared.pool.rows]
    for question, ranks, ranked in random.Random(_SEED).sample(missed, min(count, len(missed))):  # noqa: S311
        print(f"  {question.text}")
        print("    needed " + "; ".join(f"{titles[gold]} at {rank or 'never'}" for gold, rank in ranks.items()))
        print("    first  " + "; ".join(titles[number] for number in ranked[:5]))


if __name__ == "__main__":
    main()
