"""The whole main path on the real stack: every part is a process, and the tests use the command line.

All tests share one stack, because it takes a minute to start; they run in order, and each builds on the last.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(1200)]

LAKEHOP = Path(sys.executable).parent / "lakehop"

DOCUMENTS = [
    {"id": "orion", "title": "Orion cluster", "text": "The Orion cluster serves the inference fleet."},
    {"id": "replicas", "title": "Orion replicas", "text": "The Orion cluster runs 8 replicas, each at 48 streams."},
    {"id": "pay", "title": "Orion salaries", "text": "Salaries of the Orion team are 41 thousand.", "groups": ["hr"]},
    {"id": "", "title": "Nameless", "text": "A row without an id."},
]


class Stack:
    """The running stack by its command line and URLs."""

    def __init__(self, home: Path, free_port: Callable[[], int]) -> None:
        self.gateway = f"http://127.0.0.1:{free_port()}"
        self.home = home
        self._environment = os.environ | {
            "LAKEHOP_HOME": str(home),
            "LAKEHOP_GATEWAY_URL": self.gateway,
            "LAKEHOP_MILVUS_URI": f"http://127.0.0.1:{free_port()}",
            "LAKEHOP_LLM_BASE_URL": f"http://127.0.0.1:{free_port()}/v1",
            "LAKEHOP_AIRFLOW_URL": f"http://127.0.0.1:{free_port()}",
        }

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of one `lakehop` command."""
        completed = subprocess.run(
            [LAKEHOP, *arguments], env=self._environment, capture_output=True, text=True, timeout=900, check=False
        )
        return completed.returncode, completed.stdout, completed.stderr

    def json(self, *arguments: str) -> Any:
        """The JSON document of a command that must succeed; money and scores stay exact."""
        status, output, errors = self.run(*arguments, "--json")
        assert status == 0, errors
        return json.loads(output, parse_float=Decimal)

    def pids(self) -> list[int]:
        """Every process that the stack started."""
        pids = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("LAKEHOP_HOME") == str(self.home):
                    pids.append(process.pid)
            except psutil.Error:
                continue
        return pids


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"), free_port)
    try:
        status, _, errors = stack.run("up")
        assert status == 0, errors
        yield stack
    finally:
        stack.run("down")
    assert stack.pids() == []


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documents") / "orion.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in DOCUMENTS))
    return path


def ingest(stack: Stack, path: Path, *more: str) -> Any:
    return stack.json("ingest", str(path), "--tenant", "acme", "--groups", "staff", "--source", "orion", *more)


def found_documents(stack: Stack, groups: str, mode: str = "hybrid") -> set[str]:
    answer = stack.json("search", "Orion salaries", "--tenant", "acme", "--groups", groups, "-k", "10", "--mode", mode)
    return {result["doc_id"] for result in answer["results"]}


def test_a_first_ingest_takes_the_good_rows_and_quarantines_the_bad_one(stack: Stack, documents: Path) -> None:
    report = ingest(stack, documents)

    assert report["documents"] == {
        "seen": 4, "added": 3, "changed": 0, "unchanged": 0, "deleted": 0, "quarantined": 1, "skipped": 0,
    }  # fmt: skip
    assert report["chunks"] == {"written": 3, "deleted": 0}
    assert report["embedded"] == 3


@pytest.mark.parametrize("mode", ["dense", "lexical", "hybrid"])
def test_groups_decide_what_a_search_finds(stack: Stack, mode: str) -> None:
    assert found_documents(stack, "staff", mode) == {"orion", "replicas"}
    assert found_documents(stack, "staff,hr", mode) == {"orion", "replicas", "pay"}
    assert found_documents(stack, 'x") or 1==1 or ("', mode) == set()


def test_an_answer_and_the_bill_agree_to_the_last_digit_though_the_gateway_was_killed(stack: Stack) -> None:
    question = "How many replicas does the cluster that serves the inference fleet run?"
    answer = stack.json("ask", question, "--tenant", "acme", "--groups", "staff")
    assert answer["status"] in ("answered", "partial")
    assert Decimal(answer["usage"]["usd"]) > 0
    assert "41 thousand" not in json.dumps(answer, default=str)
    for process in psutil.process_iter(["cmdline"]):
        if process.pid in stack.pids() and any("serving.gateway" in part for part in process.info["cmdline"] or []):
            process.kill()

    assert stack.run("up")[0] == 0
    stack.json("costs", "flush")
    query = f"select sum(usd) as usd from silver.llm_calls where task_id = '{answer['task_id']}'"
    assert Decimal(stack.json("sql", query)["rows"][0]["usd"]) == Decimal(answer["usage"]["usd"])
    by_day = stack.json("sql", "select sum(usd) as usd from gold.cost_daily where tenant_id = 'acme'")
    assert Decimal(by_day["rows"][0]["usd"]) == Decimal(answer["usage"]["usd"])
    tasks = stack.json("sql", f"select status from gold.tasks where task_id = '{answer['task_id']}'")["rows"]
    assert [row["status"] for row in tasks] == [answer["status"]]


def test_a_key_sees_its_own_tenant_only(stack: Stack) -> None:
    key = stack.json("keys", "create", "--tenant", "acme", "--groups", "staff", "--app", "wiki")["key"]

    def search(**body: object) -> httpx.Response:
        return httpx.post(
            f"{stack.gateway}/search",
            json={"question": "Orion salaries"} | body,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )

    assert {result["doc_id"] for result in search().json()["results"]} == {"orion", "replicas"}
    assert search(tenant="other").status_code == 403
    assert search(groups=["hr"]).status_code == 403
    assert httpx.post(f"{stack.gateway}/search", json={"question": "Orion"}, timeout=30).status_code == 401


def test_what_left_the_snapshot_is_found_no_more_and_what_stays_is_not_embedded_again(
    stack: Stack, documents: Path
) -> None:
    documents.write_text("".join(json.dumps(row) + "\n" for row in DOCUMENTS[:1]))

    report = ingest(stack, documents, "--snapshot")

    assert report["documents"]["unchanged"] == 1
    assert report["documents"]["deleted"] == 2
    assert report["chunks"]["deleted"] == 2
    assert report["embedded"] == 0
    assert found_documents(stack, "staff,hr") == {"orion"}


def test_a_part_that_is_down_is_named(stack: Stack) -> None:
    for process in psutil.process_iter(["cmdline"]):
        if process.pid in stack.pids() and any("milvus" in part for part in process.info["cmdline"] or []):
            process.kill()

    status, _, errors = stack.run("search", "Orion", "--tenant", "acme", "--groups", "staff")
    assert status == 1
    assert "Milvus at" in errors
    parts = {part["name"]: part["state"] for part in json.loads(stack.run("status", "--json")[1])["parts"]}
    assert parts["milvus"] != "healthy"
    assert parts["gateway"] == "healthy"

    assert stack.run("up")[0] == 0
    assert found_documents(stack, "staff") == {"orion"}
