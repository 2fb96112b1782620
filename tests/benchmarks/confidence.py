"""Do the probabilities of multi-hop search show when to answer, and when the corpus holds no answer?

    python -m tests.benchmarks.confidence POOL POOL --manuals FOLDER --cache FOLDER

Each question is asked twice: of the whole corpus, and of a corpus without the passages that it needs, which has no
answer. Pools are cross-validated in five folds over the questions, so that no question is judged by weights that saw
it. Manuals are searched with the shipped weights, which were learned from the pools.

A question counts as right when all passages that it needs are among the first five.
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
from tests.benchmarks.intervals import area_under_roc, interval
from tests.benchmarks.manual_index import Manual, manual_questions, questions_of
from tests.benchmarks.manual_served import served
from tests.benchmarks.pool_index import PoolIndex, PoolQuestion
from tests.benchmarks.retrieval import FOLDS, Prepared, features_of, learned

FIRST = 5
THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_SEED = 7


@dataclass(frozen=True)
class Outcome:
    """One search. `probabilities`: of its results in order; `needed`: whether each of the first five is needed;
    `is_right`: whether the first five hold all needed passages."""

    probabilities: Sequence[float]
    needed: Sequence[bool]
    is_right: bool

    def at(self, place: int) -> float:
        """The probability of a result; 0 where there is none."""
        return self.probabilities[place] if place < len(self.probabilities) else 0.0


SIGNALS: dict[str, Callable[[Outcome], float]] = {
    "first result": lambda outcome: outcome.at(0),
    "second result": lambda outcome: outcome.at(1),
    "first, second": lambda outcome: (outcome.at(0) * outcome.at(1)) ** 0.5,
    "sum of five": lambda outcome: sum(outcome.probabilities[:FIRST]),
}


class PoolWithout:
    """A pool without the passages that a question needs."""

    def __init__(self, pool: PoolIndex, removed: frozenset[int]) -> None:
        self._pool = pool
        self._removed = removed
        self.candidate, self.frequencies = pool.candidate, pool.frequencies

    def dense(self, question: PoolQuestion, depth: int) -> list[int]:
        return self._kept(self._pool.dense(question, depth + len(self._removed)))[:depth]

    def lexical(self, question: PoolQuestion, depth: int) -> list[int]:
        return self._kept(self._pool.lexical(question, depth + len(self._removed)))[:depth]

    def by_names(self, wanted: dict[str, float], depth: int) -> list[tuple[int, float]]:
        ranked = self._pool.by_names(wanted, depth + len(self._removed))
        return [(number, value) for number, value in ranked if number not in self._removed][:depth]

    def _kept(self, numbers: Sequence[int]) -> list[int]:
        return [number for number in numbers if number not in self._removed]


def unanswerable(pool: PoolIndex) -> list[Example]:
    """The candidates of each question in a corpus without the passages that it needs."""
    return [
        features_of(PoolWithout(pool, question.gold), question)[1]  # type: ignore[arg-type]  # has all that is used
        for question in pool.questions
    ]


def cross_validated(pools: Sequence[Prepared]) -> list[tuple[list[Outcome], list[Outcome]]]:
    """For each pool the outcomes of its questions with and without the needed passages, by weights of other folds."""
    if not pools:
        return []
    lacking = [unanswerable(prepared.pool) for prepared in pools]
    folds = [np.random.default_rng(_SEED).permutation(len(prepared.examples)) % FOLDS for prepared in pools]
    by_pool: list[tuple[dict[int, Outcome], dict[int, Outcome]]] = [({}, {}) for _ in pools]
    for fold in range(FOLDS):
        weights = learned(pools, [np.flatnonzero(of != fold) for of in folds])
        for number, prepared in enumerate(pools):
            for at in np.flatnonzero(folds[number] == fold):
                needs = len(prepared.pool.questions[at].gold)
                examples = (prepared.examples[at], lacking[number][at])
                for outcomes, example in zip(by_pool[number], examples, strict=True):
                    total = score(example.own, example.pair, weights)
                    order = np.argsort(-total, kind="stable")[:FIRST_DEPTH]
                    ranked = probabilities(total, example.own, weights)[order].tolist()
                    needed = example.needed[order][:FIRST].tolist()
                    outcomes[int(at)] = Outcome(ranked, needed, sum(needed) == needs)
    return [(_ordered(whole), _ordered(lacks)) for whole, lacks in by_pool]


def of_manuals(folder: Path, cache: Path) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
    """The same for the manuals; the third list is without the chunk that holds the answer alone."""
    questions = manual_questions()
    whole, lacks, half = [], [], []
    for corpus in sorted({question.corpus for question in questions}):
        manual, about_manual = Manual(folder / corpus), questions_of(corpus, questions)
        with served(manual, about_manual, cache) as index:
            for question in about_manual:
                gold = manual.gold_chunks(question)
                for outcomes, removed in ((whole, []), (lacks, gold), (half, gold[1:])):
                    outcomes.append(_outcome(index.search(question.text, "multihop", FIRST_DEPTH, removed), gold))
    return whole, lacks, half


def _outcome(passages: Sequence[Passage], gold: Sequence[str]) -> Outcome:
    needed = [passage.chunk_id in gold for passage in passages[:FIRST]]
    return Outcome([passage.probability or 0.0 for passage in passages], needed, sum(needed) == len(gold))


def _ordered(outcomes: dict[int, Outcome]) -> list[Outcome]:
    return [outcomes[at] for at in sorted(outcomes)]


def hard_and_easy(whole: Sequence[Outcome], least: float) -> str:
    """Shares in which the first passage is needed, and in which an objecting one is, above and below a bound."""
    easy = [outcome.needed for outcome in whole if outcome.needed and outcome.at(0) >= least]
    hard = [outcome.needed for outcome in whole if outcome.needed and outcome.at(0) < least]

    def share(outcomes: Sequence[Sequence[bool]], holds: Callable[[Sequence[bool]], bool]) -> str:
        return f"{100 * sum(map(holds, outcomes)) / len(outcomes):5.1f}" if outcomes else "    -"

    right = [share(outcomes, lambda needed: needed[0]) for outcomes in (easy, hard)]
    corrected = [
        share(outcomes, lambda needed: not needed[0] and any(needed[1:READ_AT_MOST])) for outcomes in (easy, hard)
    ]
    return "  ".join([f"{100 * len(hard) / len(whole):5.1f}", *right, *corrected])


def report(name: str, whole: Sequence[Outcome], lacks: Sequence[Outcome]) -> None:
    """Print how well each signal separates right from wrong, and an answer from none."""
    predicted = np.concatenate([outcome.probabilities[:FIRST] for outcome in whole])
    needed = np.concatenate([outcome.needed for outcome in whole])
    right_count = sum(outcome.is_right for outcome in whole)
    print(f"{name}: {len(whole)} questions, {right_count} right; of the first five results "
          f"{needed.mean():.2f} are needed, predicted {predicted.mean():.2f}, "
          f"calibration error {calibration_error(predicted, needed):.3f}")  # fmt: skip
    for signal, value in SIGNALS.items():
        right = [value(outcome) for outcome in whole if outcome.is_right]
        wrong = [value(outcome) for outcome in whole if not outcome.is_right]
        with_answer, without = [value(outcome) for outcome in whole], [value(outcome) for outcome in lacks]
        print(f"  {signal:14} right from wrong {area_under_roc(right, wrong):.2f}, "
              f"an answer from none {area_under_roc(with_answer, without):.2f}")  # fmt: skip
    print("  first probability below: of all %, first needed % above and below, else one of the next two % likewise")
    for least in THRESHOLDS:
        print(f"    {least:.2f}  {hard_and_easy(whole, least)}")
    for signal in ("first result", "second result"):
        print(
            f"  at least, by the {signal}: answered %, of these right %, one of five needed %, answered without one %"
        )
        value = SIGNALS[signal]
        for least in THRESHOLDS:
            answered = [outcome for outcome in whole if value(outcome) >= least]
            if not answered:
                continue
            share = 100 * len(answered) / len(whole)
            right, low, high = interval([outcome.is_right for outcome in answered])
            some = 100 * sum(any(outcome.needed) for outcome in answered) / len(answered)
            wrongly = 100 * sum(value(outcome) >= least for outcome in lacks) / len(lacks)
            print(f"    {least:.2f}  {share:5.1f}  {100 * right:5.1f} ({100 * low:.0f}-{100 * high:.0f})  "
                  f"{some:5.1f}  {wrongly:5.1f}", flush=True)  # fmt: skip


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--manuals", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Holds the manuals.")
@click.option("--cache", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keeps vectors.")
def main(folders: tuple[Path, ...], manuals: Path | None, cache: Path) -> None:
    """Print how well probabilities separate right from wrong, and questions with an answer from others."""
    pools = [Prepared(PoolIndex(folder.resolve(), cache)) for folder in folders]
    for prepared, (whole, lacks) in zip(pools, cross_validated(pools), strict=True):
        report(f"{prepared.pool.name}, cross-validated", whole, lacks)
    if manuals:
        whole, lacks, half = of_manuals(manuals, cache)
        report("manuals, held out", whole, lacks)
        report("manuals, held out, without the chunk that holds the answer", whole, half)


if __name__ == "__main__":
    main()
