"""`lakehop eval` against a small server that speaks the gateway's contract: scores, money, failures, and the tables."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from infra.evaluation.evaluate import evaluate
from infra.evaluation.results import ranked_documents
from lakehouse.errors import NotAuthenticated, NotFound, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import EVAL_RESULTS, EVAL_RUNS
from tests.infra.answering_gateway import Gateway, Reply, answer, problem

FIELDS = [
    "n",
    "em",
    "f1",
    "success",
    "faithful",
    "judged_faithful",
    "judge_agreement",
    "not_judged",
    "judge_usd",
    "declined",
    "recall_at_2",
    "recall_at_5",
    "usd_total",
    "usd_per_task",
    "usd_per_success",
    "calls_per_task",
    "input_tokens",
    "output_tokens",
    "p50_s",
    "p95_s",
    "run_id",
]


def search_step(*doc_ids: str) -> dict[str, Any]:
    passages = [{"doc_id": doc_id, "title": "", "chunk_id": f"{doc_id}-0"} for doc_id in doc_ids]
    return {"kind": "search", "agent": "search", "passages": passages}


def test_scores_are_means_over_what_can_be_judged_and_money_is_exact(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path]
) -> None:
    path = questions(
        {"id": "1", "question": "right", "answer": "BSD", "gold_ids": ["a", "b"]},
        {"id": "2", "question": "wordy", "answer": "nothing like it", "answer_aliases": ["MIT"], "gold_ids": ["z"]},
        {"id": "3", "question": "wrong", "answer": "BSD"},
        {"id": "4", "question": "not judged", "gold_ids": ["a"]},
    )
    gateway.replies = {
        "right": answer("bsd.", search_step("a", "x"), search_step("b", "a"), usd="0.0000000001"),
        "wordy": answer("It is MIT", search_step("x", "y", "x", "z"), usd="0.0000000002", status="partial"),
        "wrong": answer("Apache", usd="0.3000000000"),
        "not judged": answer("whatever", search_step("a"), usd="0.1000000000"),
    }

    scores = evaluate(settings, path, "acme", ["staff", "eng"], "multihop")

    assert list(scores) == FIELDS
    assert {name: scores[name] for name in FIELDS if name not in ("p50_s", "p95_s", "run_id")} == {
        "n": 4,
        "em": pytest.approx(1 / 3),
        "f1": pytest.approx((1 + 0.5 + 0) / 3),
        "success": pytest.approx(2 / 3),
        "faithful": 0.0,
        "judged_faithful": None,
        "judge_agreement": None,
        "not_judged": None,
        "judge_usd": None,
        "declined": 0.0,
        "recall_at_2": pytest.approx((1 + 0 + 1) / 3),
        "recall_at_5": 1.0,
        "usd_total": "0.4000000003",
        "usd_per_task": "0.1000000001",
        "usd_per_success": "0.2000000002",
        "calls_per_task": 2.0,
        "input_tokens": 400,
        "output_tokens": 40,
    }
    assert 0.02 <= scores["p50_s"] <= scores["p95_s"] < 10


def test_declining_is_right_where_there_is_no_answer_and_an_answer_is_held_to_its_citations(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path]
) -> None:
    path = questions(
        {"id": "1", "question": "declined", "answerable": False},
        {"id": "2", "question": "made up", "answerable": False},
        {"id": "3", "question": "cited", "answer": "BSD"},
        {"id": "4", "question": "half", "answer": "BSD"},
    )
    cited = answer("BSD")
    cited[1]["citations"] = [{"doc_id": "a", "chunk_id": "a-0", "quote": "Its licence is BSD."}]
    cited[1]["uncited"] = []
    half = answer("BSD. It is old.")
    half[1].update(citations=cited[1]["citations"], uncited=["It is old."])
    gateway.replies = {
        "declined": answer("I do not know", status="refused"),
        "made up": answer("MIT"),
        "cited": cited,
        "half": half,
    }

    scores = evaluate(settings, path, "acme", [], "multihop")

    assert {name: scores[name] for name in ("em", "success", "faithful", "declined")} == {
        "em": 0.5,
        "success": pytest.approx(3 / 4),
        "faithful": pytest.approx(1 / 3),
        "declined": pytest.approx(1 / 4),
    }


def test_every_question_is_asked_once_with_the_operator_key_two_at_a_time(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path]
) -> None:
    gateway.replies = {f"q{number}": answer("x") for number in range(6)}
    gateway.waits_for_a_second_s = 30
    path = questions(*({"id": str(number), "question": f"q{number}"} for number in range(6)))

    evaluate(settings, path, "acme", ["staff", "eng"], "single_shot", limit=5)

    bodies = sorted(gateway.asked, key=lambda asked: asked[2]["question"])
    assert bodies == [
        (
            "/ask",
            "Bearer lh_operator",
            {"question": f"q{number}", "tenant": "acme", "groups": ["staff", "eng"], "program": "single_shot"},
        )
        for number in range(5)
    ]
    assert gateway.most_at_once == 2


def test_a_question_that_fails_counts_as_wrong_and_the_run_goes_on(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path]
) -> None:
    path = questions(
        {"id": "ok", "question": "ok", "answer": "BSD", "gold_ids": ["a"]},
        {"id": "down", "question": "down", "answer": "BSD", "gold_ids": ["a"]},
        {"id": "bug", "question": "bug", "answer": "BSD"},
        {"id": "refused", "question": "refused", "answer": "BSD"},
    )
    gateway.replies = {
        "ok": answer("BSD", search_step("a"), usd="0.0000000004"),
        "down": problem(503, "vllm does not answer", part="vllm"),
        "bug": problem(500, "id 17"),
        "refused": answer("no BSD for you", status="refused"),
    }

    scores = evaluate(settings, path, "acme", [], "multihop")

    assert [scores[name] for name in ("n", "em", "f1", "success", "recall_at_2")] == [4, 0.25, 0.25, 0.25, 0.5]
    assert (scores["usd_per_task"], scores["usd_per_success"]) == ("0.0000000001", "0.0000000004")
    results = {row["question_id"]: row for row in delta.read_rows(settings, EVAL_RESULTS)}
    assert [results[name]["status"] for name in ("ok", "down", "bug", "refused")] == [
        "answered",
        "failed",
        "failed",
        "refused",
    ]
    assert (results["down"]["task_id"], results["down"]["success"], results["down"]["recall_at_2"]) == (
        None,
        False,
        0.0,
    )


def test_nothing_right_has_no_cost_per_success(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path]
) -> None:
    gateway.replies = {"q": answer("no", usd="0.1000000000")}
    scores = evaluate(settings, questions({"id": "1", "question": "q", "answer": "yes"}), "acme", [], "multihop")
    assert (scores["success"], scores["usd_per_success"]) == (0.0, None)


@pytest.mark.parametrize(
    ("program", "mode", "noted"),
    [("multihop", "multihop", "search_multihop"), ("single_shot", "hybrid", "search")],
)
def test_retrieval_only_searches_and_leaves_the_answers_scores_empty(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path], program: str, mode: str, noted: str
) -> None:
    path = questions({"id": "1", "question": "q", "answer": "BSD", "gold_ids": ["a", "b"]})
    found = [{"doc_id": doc_id, "chunk_id": "c", "title": "", "score": 1.0, "text": "", "uri": ""} for doc_id in "axyb"]
    usage = {"calls": 3, "input_tokens": 30, "cached_tokens": 0, "output_tokens": 3, "usd": "0.0000000005"}  # reranked
    gateway.replies = {"q": (200, {"results": found, "took_ms": 1.0, "task_id": "t", "usage": usage})}

    scores = evaluate(settings, path, "acme", ["staff"], program, retrieval_only=True)

    (asked,) = gateway.asked
    assert (asked[0], asked[2]) == (
        "/search",
        {"question": "q", "tenant": "acme", "groups": ["staff"], "k": 5, "mode": mode},
    )
    assert [scores[name] for name in ("em", "f1", "success", "recall_at_2", "recall_at_5")] == [
        None,
        None,
        None,
        0.5,
        1.0,
    ]
    (run,) = delta.read_rows(settings, EVAL_RUNS)
    assert (run["program"], run["em"], run["usd_total"]) == (noted, None, Decimal("0.0000000005"))


def test_both_tables_hold_the_run(settings: Settings, gateway: Gateway, questions: Callable[..., Path]) -> None:
    path = questions({"id": "1", "question": "q", "answer": "BSD", "gold_ids": ["a"]})
    gateway.replies = {"q": answer("BSD", search_step("a"), usd="0.0000000001")}

    scores = evaluate(settings, path, "acme", [], "multihop")

    (run,) = delta.read_rows(settings, EVAL_RUNS)
    assert {name: run[name] for name in ("run_id", "tenant_id", "program", "questions", "n", "usd_total")} == {
        "run_id": scores["run_id"],
        "tenant_id": "acme",
        "program": "multihop",
        "questions": "questions.jsonl",
        "n": 1,
        "usd_total": Decimal("0.0000000001"),
    }
    (result,) = delta.read_rows(settings, EVAL_RESULTS)
    assert result.pop("seconds") > 0
    assert result == {
        "run_id": scores["run_id"],
        "question_id": "1",
        "task_id": "task of BSD",
        "answer": "BSD",
        "status": "answered",
        "em": True,
        "f1": 1.0,
        "success": True,
        "faithful": False,
        "judged_faithful": None,
        "judge_task_id": None,
        "judge_usd": None,
        "recall_at_2": 1.0,
        "recall_at_5": 1.0,
        "usd": Decimal("0.0000000001"),
    }


def test_of_a_search_that_a_model_reordered_its_order_counts_and_not_what_it_was_shown() -> None:
    shown = search_step("b", "c") | {"kind": "chat", "agent": "rerank"}
    reordered = search_step("c", "b", "a") | {"kind": "tool", "agent": "rerank"}
    assert ranked_documents([search_step("a", "b", "c"), shown, reordered]) == ["c", "b", "a"]


def test_the_best_of_each_search_comes_before_the_second_of_any() -> None:
    steps = [search_step("a", "b", "c"), {"kind": "chat"}, search_step("x", "a"), search_step()]
    assert ranked_documents(steps) == ["a", "x", "b", "c"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [(problem(401, "unknown key"), NotAuthenticated), (problem(404, "no tenant 'acme'"), NotFound)],
)
def test_what_would_fail_every_question_stops_the_run_and_writes_nothing(
    settings: Settings, gateway: Gateway, questions: Callable[..., Path], reply: Reply, error: type[Exception]
) -> None:
    gateway.replies = {f"q{number}": reply for number in range(9)}
    path = questions(*({"id": str(number), "question": f"q{number}"} for number in range(9)))

    with pytest.raises(error, match=reply[1]["detail"]):
        evaluate(settings, path, "acme", [], "multihop")
    assert len(gateway.asked) < 9
    assert delta.read_rows(settings, EVAL_RUNS) == []


def test_a_gateway_that_is_down_is_said_so_and_writes_nothing(
    settings: Settings, questions: Callable[..., Path], free_port: Callable[[], int]
) -> None:
    down = settings.model_copy(update={"gateway_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(Unavailable, match="does not answer") as caught:
        evaluate(down, questions({"id": "1", "question": "q"}), "acme", [], "multihop")
    assert caught.value.part == "gateway"
    assert delta.read_rows(settings, EVAL_RUNS) == []
