"""The result of one evaluated question: what the gateway answered, scored against the question's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from lakehouse.errors import LakehopError
from lakehouse.text import scoring
from lakehouse.text.questions import LabelledQuestion

RECALL_CUTS = (2, 5)
_RERANK = "rerank"  # the agent that reorders the passages of a search
_HAS_ANSWER = ("answered", "partial")


@dataclass(frozen=True)
class QuestionResult:
    """A question's answer and scores. A score without its label is None; a question that failed counts as wrong."""

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


def search_result(question: LabelledQuestion, seconds: float, document: Mapping[str, Any]) -> QuestionResult:
    """The result of a /search document: recall and cost, no answer."""
    ranked = [passage["doc_id"] for passage in document["results"]]
    return QuestionResult(
        question.id,
        seconds,
        "answered",
        document["task_id"],
        **_recall_scores(question, ranked),
        **_usage(document),
    )


def answer_result(question: LabelledQuestion, seconds: float, document: Mapping[str, Any]) -> QuestionResult:
    """The result of an /ask document."""
    text, status = document["answer"] or "", document["status"]
    has_answer = status in _HAS_ANSWER
    return QuestionResult(
        question.id,
        seconds,
        status,
        document["task_id"],
        text,
        **_answer_scores(question, text if has_answer else "", declined=status == "refused"),
        faithful=_is_supported(document) if has_answer else None,
        citations=document["citations"] if has_answer else (),
        **_recall_scores(question, ranked_documents(document["steps"])),
        **_usage(document),
    )


def failed_result(
    question: LabelledQuestion, seconds: float, error: LakehopError, retrieval_only: bool
) -> QuestionResult:
    """The result of a question that the gateway did not answer."""
    scores = {} if retrieval_only else _answer_scores(question, "")
    return QuestionResult(question.id, seconds, "failed", **scores, **_recall_scores(question, []), failure=error)


def ranked_documents(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The documents of a task's searches: first the best of each search, then the second of each …

    Recall at 2 of a task with two searches thus counts the best document of both. A reranking step lists the same
    chunks as its search and replaces that search's order; the reranker's model call (kind `chat`) is no search.
    """
    searches: dict[frozenset[str], list[str]] = {}
    for step in steps:
        if (step["kind"], step.get("agent")) != ("chat", _RERANK):
            passages = step.get("passages") or []
            chunks = frozenset(passage["chunk_id"] for passage in passages)
            searches[chunks] = [passage["doc_id"] for passage in passages]
    by_rank = (doc_id for rank in zip_longest(*searches.values()) for doc_id in rank if doc_id is not None)
    return list(dict.fromkeys(by_rank))


def _is_supported(document: Mapping[str, Any]) -> bool:
    """Whether the citations support the whole answer; `agents.reading.citations` checked that for the answer."""
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


def _recall_scores(question: LabelledQuestion, ranked: Sequence[str]) -> dict[str, Any]:
    if not question.gold_ids:
        return {}
    return {f"recall_at_{k}": scoring.recall_at(k, question.gold_ids, ranked) for k in RECALL_CUTS}


def _usage(document: Mapping[str, Any]) -> dict[str, Any]:
    usage = document["usage"]
    return {name: usage[name] for name in ("calls", "input_tokens", "output_tokens")} | {"usd": Decimal(usage["usd"])}
