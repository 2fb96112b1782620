"""The judge of `lakehop eval --judge`: its evidence, its verdicts, its cost."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.main import main as cli
from infra.evaluation.evaluate import evaluate
from infra.evaluation.judging import evidence
from lakehouse.errors import NotAllowed
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import CHUNKS, EVAL_RESULTS, EVAL_RUNS
from tests.agents.tools.test_lakehouse_tools import chunk
from tests.infra.answering_gateway import Gateway, Reply, answer, problem

TEXT = "Flask is a framework.\nIts licence is BSD. It was first released in 2010."


def test_the_judge_is_shown_the_sentence_around_a_quote_once() -> None:
    chunks = {"c": {"title": "Flask", "text": TEXT}}

    def quoted(quote: str, chunk_id: str = "c") -> dict[str, str]:
        return {"doc_id": "d", "chunk_id": chunk_id, "quote": quote}

    assert evidence([quoted("BSD"), quoted("licence is BSD"), quoted("2010")], chunks) == [
        "Flask: Its licence is BSD.",
        "Flask: It was first released in 2010.",
    ]
    assert evidence([quoted("framework.\nIts"), quoted("MIT", "gone")], chunks) == ["Flask: framework.\nIts", "MIT"]
    assert len(evidence([quoted(str(n), "gone") for n in range(50)], chunks)) == 20


def cited(text: str, quote: str, usd: str = "0.1000000000", chunk_id: str = "acme-flask-0") -> Reply:
    status, document = answer(text, usd=usd)
    citations = [{"doc_id": "a", "chunk_id": chunk_id, "quote": quote}]
    return status, document | {"citations": citations, "uncited": [] if text in quote else [text]}


def judgement(supported: bool | None, usd: str, reason: str | None = None) -> Reply:
    usage = {"calls": 1, "input_tokens": 90, "cached_tokens": 0, "output_tokens": 1, "usd": usd}
    return 200, {"supported": supported, "reason": reason, "usage": usage, "task_id": f"judging at {usd}"}


@pytest.fixture
def asked(questions: Callable[..., Path], gateway: Gateway) -> Path:
    gateway.replies = {
        "right": cited("BSD", "BSD"),
        "elsewhere": cited("MIT", "BSD"),
        "bare": answer("BSD"),
        "declined": answer("no", status="refused"),
        "garbled": cited("BSD", "BSD"),
    }
    return questions(*({"id": name, "question": name, "answer": "BSD"} for name in gateway.replies))


def test_what_is_cited_is_judged_and_the_judges_money_stands_apart(
    settings: Settings, gateway: Gateway, asked: Path
) -> None:
    delta.append(settings, CHUNKS, [chunk("acme", "flask", 0, TEXT, [])])
    gateway.judgements = {
        "right": judgement(True, "0.0000000001"),
        "elsewhere": judgement(True, "0.0000000002"),
        "garbled": judgement(None, "0.0000000004", "the judge said neither yes nor no"),
    }

    scores = evaluate(settings, asked, "acme", ["staff"], "multihop", judge=True)

    names = (
        "faithful",
        "judged_faithful",
        "judge_agreement",
        "not_judged",
        "judge_usd",
        "usd_total",
        "usd_per_success",
    )
    assert {name: scores[name] for name in names} == {
        "faithful": 0.5,
        "judged_faithful": 1.0,
        "judge_agreement": 0.5,
        "not_judged": 1,
        "judge_usd": "0.0000000007",
        "usd_total": "0.3000000000",
        "usd_per_success": "0.1000000000",
    }
    bodies = {body["question"]: body for path, _, body in gateway.asked if path == "/judge"}
    assert bodies["elsewhere"] == {
        "question": "elsewhere",
        "tenant": "acme",
        "groups": ["staff"],
        "answer": "MIT",
        "evidence": ["Flask: Its licence is BSD."],
    }
    assert set(bodies) == {"right", "elsewhere", "garbled"}
    results = {row["question_id"]: row for row in delta.read_rows(settings, EVAL_RESULTS)}
    told = {name: (row["judged_faithful"], row["judge_task_id"], row["judge_usd"]) for name, row in results.items()}
    assert told == {
        "right": (True, "judging at 0.0000000001", Decimal("0.0000000001")),
        "elsewhere": (True, "judging at 0.0000000002", Decimal("0.0000000002")),
        "garbled": (None, "judging at 0.0000000004", Decimal("0.0000000004")),
        "bare": (None, None, None),
        "declined": (None, None, None),
    }
    (run,) = delta.read_rows(settings, EVAL_RUNS)
    assert (run["judged_faithful"], run["judge_agreement"], run["not_judged"], run["judge_usd"]) == (
        1.0,
        0.5,
        1,
        Decimal("0.0000000007"),
    )


def test_a_judge_that_fails_is_no_judgement_and_the_run_goes_on(
    settings: Settings, gateway: Gateway, asked: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.judgements = {
        "right": judgement(False, "0.0000000001"),
        "elsewhere": problem(402, "daily cap of key_1"),
        "garbled": problem(503, "vllm does not answer", part="vllm"),
    }

    scores = evaluate(settings, asked, "acme", [], "multihop", judge=True)

    assert (scores["judged_faithful"], scores["judge_agreement"], scores["not_judged"]) == (0.0, 0.0, 2)
    assert "not judged: daily cap of key_1" in caplog.text


def test_a_judge_that_nobody_may_ask_stops_the_run_and_writes_nothing(
    settings: Settings, gateway: Gateway, asked: Path
) -> None:
    gateway.judgements = dict.fromkeys(gateway.replies, problem(403, "not this key"))
    with pytest.raises(NotAllowed, match="not this key"):
        evaluate(settings, asked, "acme", [], "multihop", judge=True)
    assert delta.read_rows(settings, EVAL_RUNS) == []


def test_nothing_cited_asks_no_judge(settings: Settings, gateway: Gateway, questions: Callable[..., Path]) -> None:
    gateway.replies = {"q": answer("BSD")}
    scores = evaluate(settings, questions({"id": "1", "question": "q"}), "acme", [], "multihop", judge=True)
    assert (scores["judged_faithful"], scores["not_judged"], scores["judge_usd"]) == (None, 0, "0.0000000000")


def test_a_search_gives_no_answer_to_judge(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(json.dumps({"id": "1", "question": "q"}))
    command = ["eval", "--questions", str(tmp_path / "q.jsonl"), "--tenant", "acme", "--retrieval-only", "--judge"]
    said = CliRunner().invoke(cli, command)
    assert (said.exit_code, "no answer to judge" in said.output) == (2, True)
