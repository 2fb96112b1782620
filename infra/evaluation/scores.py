"""The scores of one evaluation run: means and sums over its questions."""

import statistics
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from infra.evaluation.results import QuestionResult


def run_scores(results: Sequence[QuestionResult], judge: bool) -> dict[str, Any]:
    """Scores by name, in the order in which `lakehop eval` prints them; None without any labelled question."""
    n = len(results)
    usd_total = sum((result.usd for result in results), Decimal(0))
    successes = sum(result.success is True for result in results)
    seconds = [result.seconds for result in results]
    return {
        "n": n,
        "em": _mean([result.em for result in results]),
        "f1": _mean([result.f1 for result in results]),
        "success": _mean([result.success for result in results]),
        "faithful": _mean([result.faithful for result in results]),
        **_judge_scores(results, judge),
        "declined": sum(result.status == "refused" for result in results) / n,
        "recall_at_2": _mean([result.recall_at_2 for result in results]),
        "recall_at_5": _mean([result.recall_at_5 for result in results]),
        "usd_total": usd_total,
        "usd_per_task": usd_total / n,
        "usd_per_success": usd_total / successes if successes else None,
        "calls_per_task": sum(result.calls for result in results) / n,
        "input_tokens": sum(result.input_tokens for result in results),
        "output_tokens": sum(result.output_tokens for result in results),
        "p50_s": statistics.median(seconds),
        "p95_s": statistics.quantiles(seconds, n=20, method="inclusive")[-1] if n > 1 else seconds[0],
    }


def _judge_scores(results: Sequence[QuestionResult], judge: bool) -> dict[str, Any]:
    decided = [result for result in results if result.judged_faithful is not None]
    costs = [result.judge_usd for result in results if result.judge_usd is not None]
    return {
        "judged_faithful": _mean([result.judged_faithful for result in decided]),
        "judge_agreement": _mean([result.judged_faithful == result.faithful for result in decided]),
        "not_judged": len(costs) - len(decided) if judge else None,
        "judge_usd": sum(costs, Decimal(0)) if judge else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
