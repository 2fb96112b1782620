"""Do the probabilities of multi-hop search tell when to answer, and when the corpus holds no answer?

    python -m tests.benchmarks.confidence POOL POOL --manuals FOLDER --cache FOLDER

Every question is asked twice: of the whole corpus, and of a corpus without the passages that it needs, which then holds
no answer. Pools are cross-validated: five folds over the questions, so none is judged by weights that saw it. Manuals
are searched as served by the shipped weights, which were learned from the pools: held out altogether.

A question counts as right when all passages that it needs are among the first five; without them none can be right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from agents.reading.ballot import READ_AT_MOST
from lakehouse.index.passages import Passage
from lakehouse.retrieval.multihop.candidates import FIRST_DEPTH
from lakehouse.retrieval.multihop.ranking import probabilities, score
from lakehouse.retrieval.multihop.training import Example, calibration_error
from tests.benchmarks.intervals import interval, told_apart
from tests.benchmarks.manual_index import Manual, manual_questions, questions_of
from tests.benchmarks.manual_served import served
from tests.benchmarks.pool_index import PoolIndex, Question
from tests.benchmarks.retrieval import FOLDS, Prepared, features_of, learned

FIRST = 5
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SEED = 7


@dataclass(frozen=True)
class Outcome:
    """One search: its probabilities in the order of its results, and whether all that is needed is in the first five.

    `needed`: of each of the first five, whether it is needed.
    """

    sure: Sequence[float]
    needed: Sequence[bool]
    is_right: bool


SIGNALS: dict[str, Callable[[Outcome], float]] = {
    "first result": lambda one: one.sure[0] if one.sure else 0.0,
    "second result": lambda one: one.sure[1] if len(one.sure) > 1 else 0.0,
    "first, second": lambda one: (one.sure[0] * one.sure[1]) ** 0.5 if len(one.sure) > 1 else 0.0,
    "sum of five": lambda one: sum(one.sure[:FIRST]),
}


class Without:
    """A pool as one question finds it when the passages that it needs aren't there."""

    def __init__(self, pool: PoolIndex, gone: frozenset[int]) -> None:
        self._pool = pool
        self._gone = gone
        self.candidate, self.frequencies = pool.candidate, pool.frequencies

    def dense(self, question: Question, depth: int) -> list[int]:
        return self._kept(self._pool.dense(question, depth + len(self._gone)))[:depth]

    def lexical(self, question: Question, depth: int) -> list[int]:
        return self._kept(self._pool.lexical(question, depth + len(self._gone)))[:depth]

    def by_names(self, wanted: dict[str, float], depth: int) -> list[tuple[int, float]]:
        found = self._pool.by_names(wanted, depth + len(self._gone))
        return [(number, value) for number, value in found if number not in self._gone][:depth]

    def _kept(self, found: Sequence[int]) -> list[int]:
        return [number for number in found if number not in self._gone]


def unanswerable(pool: PoolIndex) -> list[Example]:
    """Each question's candidates in a corpus that lacks what it needs."""
    return [
        features_of(Without(pool, question.gold), question)[1]  # type: ignore[arg-type]  # all that it uses
        for question in pool.questions
    ]


def cross_validated(pools: Sequence[Prepared]) -> list[tuple[list[Outcome], list[Outcome]]]:
    """Of each pool every question's outcome with and without what it needs, by weights that were learned without it."""
    if not pools:
        return []
    lacking = [unanswerable(one.pool) for one in pools]
    folds = [np.random.default_rng(_SEED).permutation(len(one.examples)) % FOLDS for one in pools]
    found: list[tuple[dict[int, Outcome], dict[int, Outcome]]] = [({}, {}) for _ in pools]
    for fold in range(FOLDS):
        weights = learned(pools, [np.flatnonzero(of != fold) for of in folds])
        for number, one in enumerate(pools):
            for at in np.flatnonzero(folds[number] == fold):
                needs = len(one.pool.questions[at].gold)
                for outcomes, example in zip(found[number], (one.examples[at], lacking[number][at]), strict=True):
                    total = score(example.own, example.pair, weights)
                    order = np.argsort(-total, kind="stable")[:FIRST_DEPTH]
                    sure = probabilities(total, example.own, weights)[order].tolist()
                    needed = example.needed[order][:FIRST].tolist()
                    outcomes[int(at)] = Outcome(sure, needed, sum(needed) == needs)
    return [(_ordered(whole), _ordered(lacks)) for whole, lacks in found]


def of_manuals(folder: Path, cache: Path) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
    """The same for the manuals, and as a third what comes when only the chunk with the answer is gone."""
    questions = manual_questions()
    whole, lacks, half = [], [], []
    for corpus in sorted({one.corpus for one in questions}):
        manual, of_it = Manual(folder / corpus), questions_of(corpus, questions)
        with served(manual, of_it, cache) as index:
            for question in of_it:
                gold = manual.gold_chunks(question)
                for outcomes, gone in ((whole, []), (lacks, gold), (half, gold[1:])):
                    outcomes.append(_outcome(index.search(question.text, "multihop", FIRST_DEPTH, gone), gold))
    return whole, lacks, half


def _outcome(found: Sequence[Passage], gold: Sequence[str]) -> Outcome:
    needed = [one.chunk_id in gold for one in found[:FIRST]]
    return Outcome([one.probability or 0.0 for one in found], needed, sum(needed) == len(gold))


def _ordered(outcomes: dict[int, Outcome]) -> list[Outcome]:
    return [outcomes[at] for at in sorted(outcomes)]


def hard_and_easy(whole: Sequence[Outcome], least: float) -> str:
    """What a debate depends on: whether the first passage is needed, else one of those that would object to it."""
    easy = [one.needed for one in whole if one.sure and one.sure[0] >= least]
    hard = [one.needed for one in whole if one.sure and one.sure[0] < least]

    def share(of: Sequence[Sequence[bool]], holds: Callable[[Sequence[bool]], bool]) -> str:
        return f"{100 * sum(map(holds, of)) / len(of):5.1f}" if of else "    -"

    right = [share(of, lambda needed: needed[0]) for of in (easy, hard)]
    mended = [share(of, lambda needed: not needed[0] and any(needed[1:READ_AT_MOST])) for of in (easy, hard)]
    return "  ".join([f"{100 * len(hard) / len(whole):5.1f}", *right, *mended])


def report(name: str, whole: Sequence[Outcome], lacks: Sequence[Outcome]) -> None:
    sure = np.concatenate([one.sure[:FIRST] for one in whole])
    needed = np.concatenate([one.needed for one in whole])
    print(f"{name}: {len(whole)} questions, {sum(one.is_right for one in whole)} right; of the first five results "
          f"{needed.mean():.2f} are needed, told with {sure.mean():.2f}, "
          f"calibration error {calibration_error(sure, needed):.3f}")  # fmt: skip
    for signal, value in SIGNALS.items():
        right = [value(one) for one in whole if one.is_right]
        wrong = [value(one) for one in whole if not one.is_right]
        with_answer, without = [value(one) for one in whole], [value(one) for one in lacks]
        print(f"  {signal:14} right from wrong {told_apart(right, wrong):.2f}, "
              f"an answer from none {told_apart(with_answer, without):.2f}")  # fmt: skip
    print("  first probability below: of all %, first needed % above and below, else one of the next two % likewise")
    for least in THRESHOLDS:
        print(f"    {least:.2f}  {hard_and_easy(whole, least)}")
    for signal in ("first result", "second result"):
        print(
            f"  at least, by the {signal}: answered %, of these right %, one of five needed %, answered without one %"
        )
        value = SIGNALS[signal]
        for least in THRESHOLDS:
            answered = [one for one in whole if value(one) >= least]
            if not answered:
                continue
            share = 100 * len(answered) / len(whole)
            right, low, high = interval([one.is_right for one in answered])
            some = 100 * sum(any(one.needed) for one in answered) / len(answered)
            fooled = 100 * sum(value(one) >= least for one in lacks) / len(lacks)
            print(f"    {least:.2f}  {share:5.1f}  {100 * right:5.1f} ({100 * low:.0f}-{100 * high:.0f})  "
                  f"{some:5.1f}  {fooled:5.1f}", flush=True)  # fmt: skip


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--manuals", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Holds the manuals.")
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
def main(folders: tuple[Path, ...], manuals: Path | None, cache: Path) -> None:
    """Print how well probabilities tell right from wrong, and a question with an answer from one without."""
    pools = [Prepared(PoolIndex(folder.resolve(), cache)) for folder in folders]
    for one, (whole, lacks) in zip(pools, cross_validated(pools), strict=True):
        report(f"{one.pool.name}, cross-validated", whole, lacks)
    if manuals:
        whole, lacks, half = of_manuals(manuals, cache)
        report("manuals, held out", whole, lacks)
        report("manuals, held out, only the chunk with the answer gone", whole, half)


if __name__ == "__main__":
    main()
