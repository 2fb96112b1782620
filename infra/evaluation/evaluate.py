"""`lakehop eval`: ask every question of a file over the public interface, score the answers, store the scores.

It is an ordinary client of the gateway, so it measures what an app team gets, with permissions, caps and prices in
force. The scores go to `gold.eval_runs` and `gold.eval_results`, beside the calls that caused their cost.
"""

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.clients.gateway import FATAL, GatewayClient, map_concurrently
from infra.evaluation.judging import CitedAnswer, judge_answers
from infra.evaluation.results import RECALL_CUTS, QuestionResult, answer_result, failed_result, search_result
from infra.evaluation.scores import run_scores
from lakehouse.errors import InvalidInput, LakehopError, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import EVAL_RESULTS, EVAL_RUNS
from lakehouse.text.questions import LabelledQuestion, read_questions

log = logging.getLogger("lakehop.eval")

_SEARCH_PROGRAM = {"hybrid": "search", "multihop": "search_multihop"}  # `program` of a run that only searched, by mode


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

    A question that fails counts as wrong and the run goes on. `retrieval_only`: search only; scores of answers are then
    None. Program `multihop` searches by mode multihop, the other programs by mode hybrid. `judge`: a model also judges
    the cited answers, at extra cost. Raises InvalidInput with the line of a bad questions file, and the gateway's error
    when every question fails by it; then nothing is written.
    """
    questions = read_questions(questions_path)[:limit]
    client = GatewayClient(settings)
    mode = "multihop" if program == "multihop" else "hybrid"

    def ask(question: LabelledQuestion) -> dict[str, Any]:
        if retrieval_only:
            return client.search(question.text, tenant, list(groups), k=max(RECALL_CUTS), mode=mode)
        return client.ask(question.text, tenant, list(groups), program=program)

    started_at = datetime.now(UTC)
    results = map_concurrently(lambda question: _ask_and_score(question, ask, retrieval_only), questions)
    failures = [result.failure for result in results]
    if all(isinstance(failure, (InvalidInput, Unavailable)) for failure in failures):
        raise failures[0]  # type: ignore[misc]  # not None, by the line above
    if judge:
        results = _with_verdicts(settings, tenant, groups, questions, results)
    run = {
        "run_id": f"eval-{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        "tenant_id": tenant,
        "program": _SEARCH_PROGRAM[mode] if retrieval_only else program,
        "questions": questions_path.name,
        "started_at": started_at,
    }
    scores = run_scores(results, judge)
    _write(settings, results, scores | run)
    return {name: _money(value) for name, value in scores.items()} | {"run_id": run["run_id"]}


def _ask_and_score(
    question: LabelledQuestion, ask: Callable[[LabelledQuestion], dict[str, Any]], retrieval_only: bool
) -> QuestionResult:
    began = time.perf_counter()
    try:
        document = ask(question)
    except FATAL:
        raise
    except LakehopError as error:
        log.warning("question %s failed: %s", question.id, error)
        return failed_result(question, time.perf_counter() - began, error, retrieval_only)
    seconds = time.perf_counter() - began
    log.info("question %s took %.1f s", question.id, seconds)
    return (search_result if retrieval_only else answer_result)(question, seconds, document)


def _with_verdicts(
    settings: Settings,
    tenant: str,
    groups: Sequence[str],
    questions: Sequence[LabelledQuestion],
    results: Sequence[QuestionResult],
) -> list[QuestionResult]:
    """The results; those with citations also hold the judge's verdict and its cost."""
    texts = {question.id: question.text for question in questions}
    cited = [result for result in results if result.citations]
    answers = [CitedAnswer(texts[result.question_id], result.answer or "", result.citations) for result in cited]
    verdicts = dict(
        zip([result.question_id for result in cited], judge_answers(settings, tenant, groups, answers), strict=True)
    )
    judged = []
    for result in results:
        if verdict := verdicts.get(result.question_id):
            result = replace(
                result,
                judged_faithful=verdict.supported,
                judge_task_id=verdict.task_id,
                judge_usd=verdict.usd,
            )
        judged.append(result)
    return judged


def _money(value: Any) -> Any:
    return f"{value:.10f}" if isinstance(value, Decimal) else value


def _write(settings: Settings, results: Sequence[QuestionResult], run: dict[str, Any]) -> None:
    rows = [
        {name: getattr(result, name) for name in EVAL_RESULTS.column_names if name != "run_id"}
        | {"run_id": run["run_id"]}
        for result in results
    ]
    delta.append(settings, EVAL_RESULTS, rows)
    delta.append(settings, EVAL_RUNS, [{name: run[name] for name in EVAL_RUNS.column_names}])
