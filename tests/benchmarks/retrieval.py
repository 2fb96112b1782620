"""Multi-hop retrieval measured, and its weights learned: the tables of docs/retrieval.md.

    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER             # side by side, cross-validated
    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER --ablate    # without one part each
    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER --write     # learn from all, ship the weights
    python -m tests.benchmarks.retrieval POOL POOL --cache FOLDER --manuals FOLDER    # and from questions over manuals

A pool is a folder with corpus.jsonl ({"id","title","text"}) and questions.jsonl ({"question","gold_ids"}). Milvus and
Spark are left out: the index is in memory, brings what two round trips would, and the rest is the product's code.
What `--manuals` names holds the corpora of manual_questions.jsonl. Weights are learned from the questions, and from
others that are made up from the passages: the same whatever is left out of the former.
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
from lakehouse.retrieval.multihop.candidates import FETCHED, FIRST_DEPTH, STARTS, first_seeds, kept, names_to_find
from lakehouse.retrieval.multihop.features import OWN, PAIR, Evidence
from lakehouse.retrieval.multihop.ranking import SEEDS, SHIPPED, Weights, probabilities, score
from lakehouse.retrieval.multihop.texts import Candidate
from lakehouse.retrieval.multihop.training import Example, calibration_error, learn
from tests.benchmarks.made_up import made_up
from tests.benchmarks.manual_pool import ManualPool, manual_pools
from tests.benchmarks.pool_index import MemoryIndex, PoolIndex, Question

CUTS = (2, 5, 10)
FOLDS = 5
_SEED = 7
PRACTICE = 1000
"""Questions that are made up from each pool."""
MANUALS_COUNT = 3
"""How often a question over a manual counts when weights are learned: there are 64, beside 600 over passages."""
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
    """A pool's questions with their candidates and features, and questions made up from its passages, to practise."""

    def __init__(self, pool: MemoryIndex) -> None:
        self.pool = pool
        self.numbers: list[list[int]] = []
        self.examples: list[Example] = []
        self.seconds: list[float] = []
        for question in pool.questions:
            begun = time.thread_time()
            numbers, one = features_of(pool, question)
            self.seconds.append(time.thread_time() - begun)
            self.numbers.append(numbers)
            self.examples.append(one)
        made = [] if isinstance(pool, ManualPool) else made_up(pool, PRACTICE)
        self.practice = [features_of(pool, question)[1] for question in made]

    @property
    def weight(self) -> int:
        return MANUALS_COUNT if isinstance(self.pool, ManualPool) else 1

    def but(self, **changed: list[Example]) -> "Prepared":
        other = copy(self)
        other.__dict__.update(changed)
        return other

    def recalls(self, totals: Sequence[np.ndarray], of: Sequence[int] | None = None) -> list[float]:
        chosen = range(len(totals)) if of is None else of
        ranked = [[self.numbers[at][place] for place in np.argsort(-totals[at], kind="stable")] for at in chosen]
        return recalls(ranked, [self.pool.questions[at].gold for at in chosen])


def gathered(pool: MemoryIndex, question: Question) -> list[Candidate]:
    """What the two searches of the product bring, to be scored."""
    rankings = [list(map(str, pool.dense(question, FIRST_DEPTH))), list(map(str, pool.lexical(question, FIRST_DEPTH)))]
    found = [pool.candidate(int(number)) for number, _ in fuse(rankings, FIRST_DEPTH)]
    seeds, scores = first_seeds(question.text, question.vector, found, pool.frequencies)
    wanted = names_to_find(question.text, seeds, scores, pool.frequencies)
    known = {int(seed.chunk_id) for seed in seeds}
    led = [(number, value) for number, value in pool.by_names(wanted, FETCHED + STARTS) if number not in known]
    fetched = [pool.candidate(number) for number, _ in led]
    return kept(seeds, fetched, [value for _, value in led], question.vector)


def features_of(pool: MemoryIndex, question: Question) -> tuple[list[int], Example]:
    """The numbers of a question's candidates, and what there is to learn from them."""
    chosen = gathered(pool, question)
    numbers = [int(one.chunk_id) for one in chosen]
    evidence = Evidence(question.text, question.vector, chosen, SEEDS, pool.frequencies)
    needed = np.array([number in question.gold for number in numbers])
    return numbers, Example(evidence.own(), evidence.pair(), needed)


def recalls(ranked: Sequence[Sequence[int]], gold: Sequence[frozenset[int]]) -> list[float]:
    """Mean share of the gold passages among the first 2, 5 and 10, in per cent."""
    return [
        100
        * statistics.fmean(
            len(set(found[:cut]) & wanted) / len(wanted) for found, wanted in zip(ranked, gold, strict=True)
        )
        for cut in CUTS
    ]


def cross_validated(pools: Sequence[Prepared]) -> tuple[list[list[np.ndarray]], list[list[np.ndarray]]]:
    """Scores and probabilities of every question by weights that were learned without it, from all pools."""
    folds = [np.random.default_rng(_SEED).permutation(len(pool.examples)) % FOLDS for pool in pools]
    totals = [[np.empty(0)] * len(pool.examples) for pool in pools]
    sure = [[np.empty(0)] * len(pool.examples) for pool in pools]
    for fold in range(FOLDS):
        known = [np.flatnonzero(of != fold) for of in folds]
        weights = learned(pools, known)
        for number, pool in enumerate(pools):
            for at in np.flatnonzero(folds[number] == fold):
                one = pool.examples[at]
                totals[number][at] = score(one.own, one.pair, weights)
                sure[number][at] = probabilities(totals[number][at], one.own, weights)
    return totals, sure


def learned(pools: Sequence[Prepared], of: Sequence[Sequence[int]] | None = None) -> Weights:
    """Weights from all questions, or of each pool from these."""
    chosen = of or [range(len(pool.examples)) for pool in pools]
    return learn(
        [pool.examples[at] for pool, ats in zip(pools, chosen, strict=True) for at in ats for _ in range(pool.weight)],
        [example for pool in pools for example in pool.practice],
    )


def without(examples: Sequence[Example], names: Sequence[str]) -> list[Example]:
    """The examples with some features at zero, which no weight can use."""
    own = np.array([name not in names for name in OWN], dtype=np.float32)
    pair = np.array([name not in names for name in PAIR], dtype=np.float32)
    return [Example(one.own * own, one.pair * pair, one.needed) for one in examples]


def row(label: str, numbers: Sequence[float], more: str = "") -> None:
    print(f"  {label:34}" + " / ".join(f"{number:5.1f}" for number in numbers) + f"  {more}", flush=True)


def baselines(prepared: Prepared) -> None:
    pool, gold = prepared.pool, [question.gold for question in prepared.pool.questions]
    found: dict[str, list[list[int]]] = {"dense": [], "lexical": [], "hybrid": []}
    for question in pool.questions:
        dense, words = pool.dense(question, FIRST_DEPTH), pool.lexical(question, FIRST_DEPTH)
        found["dense"].append(dense)
        found["lexical"].append(words)
        fused = fuse([list(map(str, dense)), list(map(str, words))], max(CUTS))
        found["hybrid"].append([int(number) for number, _ in fused])
    for name, ranked in found.items():
        row(name, recalls(ranked, gold))


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
@click.option("--manuals", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Holds the manuals.")
@click.option("--ablate", is_flag=True, help="Learn again without each part.")
@click.option("--failures", type=int, default=0, help="Show this many questions that miss a passage in the first 5.")
@click.option("--write", is_flag=True, help="Learn from all questions and write the shipped weights.")
def main(
    folders: tuple[Path, ...], cache: Path, manuals: Path | None, ablate: bool, failures: int, write: bool
) -> None:
    """Print recall at 2, 5 and 10 in per cent, and milliseconds of one core a question."""
    pools = [Prepared(PoolIndex(folder.resolve(), cache)) for folder in folders]
    pools += [Prepared(pool) for pool in (manual_pools(manuals, cache) if manuals else [])]
    totals, sure = cross_validated(pools)
    for number, one in enumerate(pools):
        spent = sorted(second * 1000 for second in one.seconds)
        print(f"{one.pool.name}: {len(one.pool.rows)} passages, {len(one.examples)} questions, "
              f"indexed in {one.pool.build_seconds:.1f} s; p50 {statistics.median(spent):.1f} ms, "
              f"p99 {spent[int(len(spent) * 0.99)]:.1f} ms a question without encoding and index")  # fmt: skip
        baselines(one)
        row("first search", one.recalls([example.own[:, list(OWN).index("first_search")] for example in one.examples]))
        if SHIPPED.exists() and not write:
            shipped = Weights.read(SHIPPED)
            row("multihop, shipped weights", one.recalls([score(e.own, e.pair, shipped) for e in one.examples]))
        row("multihop, cross-validated", one.recalls(totals[number]))
        for hops in sorted({question.hops for question in one.pool.questions}):
            of = [at for at, question in enumerate(one.pool.questions) if question.hops == hops]
            row(f"  {len(of)} questions of {hops} passages", one.recalls(totals[number], of))
        row("best that the candidates allow", one.recalls([example.needed.astype(float) for example in one.examples]))
        probability = np.concatenate([values[np.argsort(-values)[:10]] for values in sure[number]])
        needed = np.concatenate(
            [e.needed[np.argsort(-v)[:10]] for e, v in zip(one.examples, sure[number], strict=True)]
        )
        print(f"  calibration error of the first 10: {calibration_error(probability, needed):.3f}")
        if failures:
            show_failures(one, totals[number], failures)
    if len(pools) > 1:
        transfer(pools)
    if ablate:
        ablation(pools)
    if write:
        learned(pools).write(SHIPPED)


def transfer(pools: Sequence[Prepared]) -> None:
    for one in pools:
        weights = learned([other for other in pools if other is not one])
        row(f"learned without {one.pool.name}", one.recalls([score(e.own, e.pair, weights) for e in one.examples]))


def ablation(pools: Sequence[Prepared]) -> None:
    for part, names in {"made-up questions": (), **PARTS}.items():
        fewer = [
            one.but(examples=without(one.examples, names), practice=without(one.practice, names) if names else [])
            for one in pools
        ]
        totals, _ = cross_validated(fewer)
        print(f"without {part}")
        for number, one in enumerate(pools):
            row(one.pool.name, one.recalls(totals[number]))


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
