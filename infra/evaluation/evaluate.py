"""`lakehop eval`: ask every question of a file over the public interface, score the answers, keep the scores.

It is a client like any other, so that it measures what an app team gets: through the gateway, with permissions, caps
and prices in force. The scores go to `gold.eval_runs` and `gold.eval_results`, next to the calls that they cost.
"""

import logging
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

from infra.clients.gateway import HOPELESS, GatewayClient, each
from infra.evaluation.judging import CitedAnswer, judged
from lakehouse.errors import InvalidInput, LakehopError, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import EVAL_RESULTS, EVAL_RUNS
from lakehouse.text import scoring
from lakehouse.text.questions import LabelledQuestion, read_questions

log = logging.getLogger("lakehop.eval")

_SEARCH = {"hybrid": "search", "multihop": "search_multihop"}
_SEARCH_K = 5  # recall is reported at 2 and 5
_RERANK = "rerank"  # the agent that orders what a search found anew
_HAS_ANSWER = ("answered", "partial")


@dataclass(frozen=True)
class Result:
    """One question asked and judged. What cannot be judged is None; a question that failed is judged as wrong."""

    question_id: str
    seconds: float
    status: str
    task_id: str | None = None
    answer: str | None = None
    em: bool | None = None
    f1: float | None = None
    success: bool | None = None
    faithful: bool | None = None
    citations: Sequence[Mapping[str, str]] = ()
    judged_faithful: bool | None = None
    judge_task_id: str | None = None
    judge_usd: Decimal | None = None
    recall_at_2: float | None = None
    recall_at_5: float | None = None
    usd: Decimal = Decimal(0)
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failure: LakehopError | None = None


def evaluate(
    settings: Settings,
    questions_path: Path,
    tenant: str,
    groups: Sequence[str],
    program: str,
    retrieval_only: bool = False,
    limit: int | None = None,
    judge: bool = False,
) -> dict[str, Any]:
    """Ask the questions, two at a time, and return the run's scores as `lakehop eval` prints them.

    A question that fails counts as wrong and the run goes on. `retrieval_only` searches and asks no program:
    scores of answers are then None. Program `multihop` searches by mode multihop, the others by mode hybrid. `judge`: a
    model judges the cited answers, too, at a cost of its own. Raises InvalidInput naming the line of a bad questions
    file, and the gateway's error when no question can be asked at all; then nothing is written.
    """
    questions = read_questions(questions_path)[:limit]
    client = GatewayClient(settings)
    mode = "multihop" if program == "multihop" else "hybrid"

    def ask(question: LabelledQuestion) -> dict[str, Any]:
        if retrieval_only:
            return client.search(question.text, tenant, list(groups), k=_SEARCH_K, mode=mode)
        return client.ask(question.text, tenant, list(groups), program=program)

    started_at = datetime.now(UTC)
    results = each(lambda question: _scored(question, ask, retrieval_only), questions)
    failures = [result.failure for result in results]
    if all(isinstance(failure, (InvalidInput, Unavailable)) for failure in failures):
        raise failures[0]  # type: ignore[misc]  # not None, by the line above
    if judge:
        results = _judged(settings, tenant, groups, questions, results)
    run = {
        "run_id": f"eval-{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        "tenant_id": tenant,
        "program": _SEARCH[mode] if retrieval_only else program,
        "questions": questions_path.name,
        "started_at": started_at,
    }
    scores = _scores(results, judge)
    _write(settings, results, scores | run)
    return {name: _money(value) for name, value in scores.items()} | {"run_id": run["run_id"]}


def ranked_documents(steps: Sequence[dict[str, Any]]) -> list[str]:
    """The documents that a task's searches found: first the best of each search, then the second of each …

    Recall at 2 of a task with two searches thus looks at the best document of both. Where a model ordered what a search
    found, its order counts, which is a step over the same chunks; what it was shown to that end is no search.
    """
    searches: dict[frozenset[str], list[str]] = {}
    for step in steps:
        if (step["kind"], step.get("agent")) != ("chat", _RERANK):
            passages = step.get("passages") or []
            chunks = frozenset(passage["chunk_id"] for passage in passages)
            searches[chunks] = [passage["doc_id"] for passage in passages]
    by_rank = (doc_id for rank in zip_longest(*searches.values()) for doc_id in rank if doc_id is not None)
    return list(dict.fromkeys(by_rank))


def _scored(
    question: LabelledQuestion, ask: Callable[[LabelledQuestion], dict[str, Any]], retrieval_only: bool
) -> Result:
    began = time.perf_counter()
    try:
        document = ask(question)
    except HOPELESS:
        raise
    except LakehopError as error:
        log.warning("question %s failed: %s", question.id, error)
        return _failed(question, time.perf_counter() - began, error, retrieval_only)
    seconds = time.perf_counter() - began
    log.info("question %s took %.1f s", question.id, seconds)
    if retrieval_only:
        ranked = [passage["doc_id"] for passage in document["results"]]
        return Result(
            question.id,
            seconds,
            "answered",
            document["task_id"],
            **_recalls(question, ranked),
            **_spent(document["usage"]),
        )
    return _scored_answer(question, seconds, document)


def _scored_answer(question: LabelledQuestion, seconds: float, document: dict[str, Any]) -> Result:
    text = document["answer"] or ""
    judged = text if document["status"] in _HAS_ANSWER else ""
    return Result(
        question.id,
        seconds,
        document["status"],
        document["task_id"],
        text,
        **_answer_scores(question, judged, declined=document["status"] == "refused"),
        faithful=_is_carried(document) if document["status"] in _HAS_ANSWER else None,
        citations=document["citations"] if document["status"] in _HAS_ANSWER else (),
        **_recalls(question, ranked_documents(document["steps"])),
        **_spent(document["usage"]),
    )


def _spent(usage: dict[str, Any]) -> dict[str, Any]:
    return {name: usage[name] for name in ("calls", "input_tokens", "output_tokens")} | {"usd": Decimal(usage["usd"])}


def _failed(question: LabelledQuestion, seconds: float, error: LakehopError, retrieval_only: bool) -> Result:
    scores = {} if retrieval_only else _answer_scores(question, "")
    return Result(question.id, seconds, "failed", **scores, **_recalls(question, []), failure=error)


def _judged(
    settings: Settings,
    tenant: str,
    groups: Sequence[str],
    questions: Sequence[LabelledQuestion],
    results: Sequence[Result],
) -> list[Result]:
    """The results with what the judge said of those that cite something."""
    texts = {question.id: question.text for question in questions}
    cited = [result for result in results if result.citations]
    answers = [CitedAnswer(texts[one.question_id], one.answer or "", one.citations) for one in cited]
    said = dict(zip((one.question_id for one in cited), judged(settings, tenant, groups, answers), strict=True))
    return [
        replace(one, judged_faithful=its.supported, judge_task_id=its.task_id, judge_usd=its.usd)
        if (its := said.get(one.question_id))
        else one
        for one in results
    ]


def _is_carried(document: dict[str, Any]) -> bool:
    """Whether what the answer cites carries all of it; `agents.reading.citations` looked, when the answer was given."""
    return bool(document["citations"]) and not document["uncited"]


def _answer_scores(question: LabelledQuestion, answer: str, declined: bool = False) -> dict[str, Any]:
    golds = question.answers
    if not question.answerable:
        return {"success": declined}
    if not golds:
        return {}
    return {
        "em": scoring.exact_match(answer, golds),
        "f1": scoring.f1(answer, golds),
        "success": scoring.success(answer, golds),
    }


def _recalls(question: LabelledQuestion, ranked: Sequence[str]) -> dict[str, Any]:
    if not question.gold_ids:
        return {}
    return {f"recall_at_{k}": scoring.recall_at(k, question.gold_ids, ranked) for k in (2, 5)}


def _scores(results: Sequence[Result], judge: bool) -> dict[str, Any]:
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


def _judge_scores(results: Sequence[Result], judge: bool) -> dict[str, Any]:
    told = [result for result in results if result.judged_faithful is not None]
    given = [result.judge_usd for result in results if result.judge_usd is not None]
    return {
        "judged_faithful": _mean([result.judged_faithful for result in told]),
        "judge_agreement": _mean([result.judged_faithful == result.faithful for result in told]),
        "not_judged": len(given) - len(told) if judge else None,
        "judge_usd": sum(given, Decimal(0)) if judge else None,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    judged = [value for value in values if value is not None]
    return statistics.fmean(judged) if judged else None


def _money(value: Any) -> Any:
    return f"{value:.10f}" if isinstance(value, Decimal) else value


def _write(settings: Settings, results: Sequence[Result], run: dict[str, Any]) -> None:
    rows = [
        {name: getattr(result, name) for name in EVAL_RESULTS.column_names if name != "run_id"}
        | {"run_id": run["run_id"]}
        for result in results
    ]
    delta.append(settings, EVAL_RESULTS, rows)
    delta.append(settings, EVAL_RUNS, [{name: run[name] for name in EVAL_RUNS.column_names}])
