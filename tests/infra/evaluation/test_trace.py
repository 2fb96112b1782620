"""`lakehop trace`: a task as a tree, from spooled and loaded call records."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.cli.main import main
from infra.cli.render_trace import tree_lines
from infra.evaluation.trace import critical_path, task_tree
from lakehouse.costs.call_records import CallRecord, Spool
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import LLM_CALLS

BEGUN = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def call(agent: str, at_ms: float, ms: float, operation: str = "chat", **changes: Any) -> CallRecord:
    model = {"input_tokens": 100, "output_tokens": 10, "usd": Decimal("0.001")} if operation == "chat" else {}
    given = {
        "call_id": f"{agent}@{at_ms:g}",
        "task_id": "task_1",
        "operation": operation,
        "started_at": BEGUN + timedelta(milliseconds=at_ms),
        "latency_ms": ms,
        "tenant_id": "acme",
        "app": "wiki",
        "key_id": "k1",
        "program": "team",
        "program_version": "v1",
        "agent": agent,
        "outcome": "error" if "error" in changes else "ok",
    }
    return CallRecord(**(given | model | changes))


PLAN = call("plan_tasks", 1, 99)
ODER = [
    call("search", 101, 19, "retrieval", sub_task="oder", hop=1),
    call("read", 121, 30, sub_task="oder", hop=1, error="ConnectError: refused"),
    call("read", 152, 148, sub_task="oder", hop=1, attempt=2),
]
WARTA = [call("search", 102, 39, "retrieval", sub_task="warta", hop=1), call("read", 142, 58, sub_task="warta", hop=1)]
LESS = [
    call("coder", 301, 50, sub_task="less", hop=2),
    call("python", 352, 3, "execute_tool", sub_task="less", hop=2),
]
CRITIC = call("ask_for_more", 356, 44, hop=2)
END = call("team", 0, 402, "invoke_agent", outcome="answered")
TASK = [END, CRITIC, *WARTA, *ODER, PLAN, *LESS]


def test_the_critical_path_goes_back_from_the_last_end_through_the_slower_sub_task_and_its_retry() -> None:
    assert critical_path([one for one in TASK if one is not END]) == [PLAN, *ODER, *LESS, CRITIC]


def test_calls_at_the_same_time_are_never_on_one_path() -> None:
    same = [call(name, 0, 10) for name in "abc"]

    assert len(critical_path(same)) == 1
    assert critical_path([]) == []
    assert critical_path([call("a", 0, 0), call("b", 0, 0)])  # no time at all, and yet an end


def test_a_start_that_another_clock_reads_a_little_early_is_still_after_the_end_before_it() -> None:
    early = call("b", 9.9, 5)

    assert critical_path([call("a", 0, 10), early]) == [call("a", 0, 10), early]


def test_a_task_is_drawn_with_its_totals_branches_retries_and_critical_path() -> None:
    assert tree_lines(task_tree(TASK)) == [
        "task_1  team (v1) for acme: answered, 402 ms, 9 calls, 600 tokens in, 60 out, $0.006",
        "* the critical path: 7 calls, 393 ms together",
        "├─ * plan_tasks  chat  at 1 ms  99 ms  100 tokens in, 10 out, $0.001",
        "├─ sub-task oder  at 101 ms  199 ms  200 tokens in, 20 out, $0.002",
        "│  └─ hop 1  at 101 ms  199 ms  200 tokens in, 20 out, $0.002",
        "│     ├─ * search  retrieval  at 101 ms  19 ms",
        "│     ├─ * read  chat  at 121 ms  30 ms  100 tokens in, 10 out, $0.001  ! ConnectError: refused",
        "│     └─ * read  chat  at 152 ms  148 ms  attempt 2  100 tokens in, 10 out, $0.001",
        "├─ sub-task warta  at 102 ms  98 ms  100 tokens in, 10 out, $0.001",
        "│  └─ hop 1  at 102 ms  98 ms  100 tokens in, 10 out, $0.001",
        "│     ├─ search  retrieval  at 102 ms  39 ms",
        "│     └─ read  chat  at 142 ms  58 ms  100 tokens in, 10 out, $0.001",
        "├─ sub-task less  at 301 ms  54 ms  100 tokens in, 10 out, $0.001",
        "│  └─ hop 2  at 301 ms  54 ms  100 tokens in, 10 out, $0.001",
        "│     ├─ * coder  chat  at 301 ms  50 ms  100 tokens in, 10 out, $0.001",
        "│     └─ * python  execute_tool  at 352 ms  3 ms",
        "└─ hop 2  at 356 ms  44 ms  100 tokens in, 10 out, $0.001",
        "   └─ * ask_for_more  chat  at 356 ms  44 ms  100 tokens in, 10 out, $0.001",
    ]


def test_a_task_that_runs_or_failed_early_is_drawn_as_far_as_it_came() -> None:
    assert tree_lines(task_tree([PLAN]))[0].startswith("task_1  team (v1) for acme: running, 99 ms, 1 calls,")
    failed = call("team", 0, 5, "invoke_agent", outcome="failed", error="Unavailable: vllm")
    assert tree_lines(task_tree([failed]))[1:] == [
        "* the critical path: 0 calls, 0 ms together",
        "! Unavailable: vllm",
    ]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LAKEHOP_HOME", str(tmp_path))
    return Settings(home=tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["trace", *arguments])


def test_each_record_counts_once_wherever_it_lies(settings: Settings) -> None:
    """Some records are loaded, some of these also spooled; some in a sealed spool file, some in the open one."""
    rows = [vars(one) | {"loaded_at": BEGUN} for one in (PLAN, *ODER)]
    delta.append(settings, LLM_CALLS, rows)
    Spool(settings.spool_dir).append(*ODER, *WARTA)
    Spool.seal(settings.spool_dir)
    Spool(settings.spool_dir).append(*LESS, CRITIC, END, call("read", 0, 1, task_id="task_12"))

    shown = run("task_1")
    assert shown.exit_code == 0, shown.output
    exact = [CallRecord.from_json(one.to_json()) for one in TASK]  # with money as it is kept
    assert shown.stdout.splitlines() == tree_lines(task_tree(exact))
    document = json.loads(run("task_1", "--json").stdout)
    assert (document["usd"], document["calls"], document["critical_calls"]) == ("0.0060000000", 9, 7)
    assert [child["name"] for child in document["children"]] == ["plan_tasks", "oder", "warta", "less", "hop 2"]


def test_a_table_from_before_sub_tasks_is_read(settings: Settings) -> None:
    old = replace(LLM_CALLS, columns=tuple(one for one in LLM_CALLS.columns if one.name != "sub_task"))
    row = {name: value for name, value in vars(PLAN).items() if name != "sub_task"} | {"loaded_at": BEGUN}
    delta.append(settings, old, [row])

    assert "├" not in run("task_1").stdout
    assert "* plan_tasks" in run("task_1").stdout


@pytest.mark.parametrize("id", ["task_0", "task_", "'; drop", "call_1"])
def test_an_unknown_task_is_an_error_that_says_where_was_looked(settings: Settings, id: str) -> None:
    Spool(settings.spool_dir).append(PLAN)
    result = run(id, "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"task {id!r}: no record of it in the spool at" in result.stderr
    assert "silver.llm_calls" in result.stderr
