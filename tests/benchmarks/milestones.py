"""Programs side by side over the same questions: success, its interval, cost a success, and a paired test.

    python -m tests.benchmarks.milestones RUN RUN… [--ids sum-]

A run is what `lakehop eval` prints as `run_id`; the first is the baseline. Only questions that all runs asked count,
and of these only ids that begin with `--ids`. The test is McNemar's, exact: the probability that chance alone splits
the questions on which two programs differ so unevenly.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import comb
from typing import Any

import click

from lakehouse.settings import load_settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import EVAL_RESULTS, EVAL_RUNS
from tests.benchmarks.intervals import difference, with_interval

Results = Mapping[str, Mapping[str, Any]]
"""Rows of `gold.eval_results` by question id."""


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--ids", default="", help="Only questions whose id begins with this.")
def main(runs: tuple[str, ...], ids: str) -> None:
    """Print a line per run."""
    settings = load_settings()
    rows = read_rows(settings, EVAL_RESULTS, [("run_id", "in", list(runs))])
    programs = {run["run_id"]: run["program"] for run in read_rows(settings, EVAL_RUNS, [("run_id", "in", list(runs))])}
    by_run = {run: {row["question_id"]: row for row in rows if row["run_id"] == run} for run in runs}
    shared = set.intersection(*(set(results) for results in by_run.values()))
    asked = sorted(id for id in shared if id.startswith(ids))
    if not asked:
        raise click.ClickException(
            f"{', '.join(runs)}: no question {ids}… is in all runs. Name runs of one questions file."
        )
    print(f"{len(asked)} questions")
    for run in runs:
        print(f"{programs[run]} ({run}): {line(by_run[run], by_run[runs[0]], asked)}", flush=True)


def line(results: Results, baseline: Results, asked: Sequence[str]) -> str:
    """Success, exact match, F1 and faithfulness in per cent, cost, and the difference to the baseline in points."""
    successes, of_baseline = ([bool(rows[id]["success"]) for id in asked] for rows in (results, baseline))
    faithful = [results[id]["faithful"] for id in asked if results[id]["faithful"] is not None]
    usd = sum((results[id]["usd"] for id in asked), Decimal(0))
    figures = [
        f"success {with_interval(successes)}",
        f"exact {100 * sum(bool(results[id]['em']) for id in asked) / len(asked):.1f}",
        f"F1 {100 * sum(results[id]['f1'] or 0 for id in asked) / len(asked):.1f}",
        f"declined {100 * sum(results[id]['status'] == 'refused' for id in asked) / len(asked):.1f}",
        f"faithful {100 * sum(faithful) / len(faithful):.1f} of {len(faithful)}" if faithful else "nothing answered",
        f"${usd / len(asked):.7f} a question",
        f"${usd / sum(successes):.7f} a success" if any(successes) else "no success",
    ]
    if results is not baseline:
        pairs = list(zip(successes, of_baseline, strict=True))
        won = sum(success and not other for success, other in pairs)
        lost = sum(other and not success for success, other in pairs)
        points = difference(successes, of_baseline)
        figures.append(f"{points} points, {won} won and {lost} lost, p = {mcnemar(won, lost):.2g}")
    return ", ".join(figures)


def mcnemar(won: int, lost: int) -> float:
    """Two-sided p of McNemar's exact test over the questions on which two programs differ; 1 where there are none."""
    differ = won + lost
    tail = sum(comb(differ, fewer) for fewer in range(min(won, lost) + 1)) / 2**differ
    return min(1.0, 2 * tail)


if __name__ == "__main__":
    main()
