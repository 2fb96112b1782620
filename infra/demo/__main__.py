"""`make demo`: the whole main path on a real corpus, step by step.

Starts the stack; ingests the documentation of the installed packages through Airflow and Spark while vLLM and the
gateway warm up; asks questions with known answers; moves the call records into the lakehouse; shows the bill in SQL. A
second run finds the stack up and the corpus unchanged.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.markup import escape

from infra.cli.render import console, print_ingest, print_rows
from infra.cli.render_answer import print_answer
from infra.cli.terminal import fail, say
from infra.clients.gateway import GatewayClient
from infra.dag_runs.ingest import Snapshot, flush_costs, ingest
from infra.demo.corpus import write_demo
from infra.stack.lifecycle import Stack
from lakehouse.analytics.sql import run_query
from lakehouse.errors import LakehopError
from lakehouse.settings import Settings, load_settings
from lakehouse.text.scoring import success

TENANT, GROUPS = "demo", ["staff"]
QUESTION_KINDS = ("sole", "sum")  # prefixes of question ids; the demo asks one question of each kind, then HOW_TO
HOW_TO = {"question": "How do I install starlette?", "answer": "pip install starlette", "aliases": ()}
"""Not from metadata: starlette's own documentation tells it. The gateway stands on starlette, so it is installed."""


class StageTimes:
    """Prints the name of each stage and measures its seconds for the table at the end."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        console.print(f"\n[bold]== {name}[/]")
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


def run(settings: Settings) -> None:
    """Run the demo; raises LakehopError at the first step that fails."""
    stages, stack = StageTimes(), Stack(settings, say)
    folder = settings.home / "demo"
    with stages.stage("1. Write the corpus and its questions"):
        counts = write_demo(folder)
        say(f"{counts['corpus']} documents, {counts['questions_test']} questions to ask: {folder}")
    with stages.stage("2. Start the stack"):
        stack.prepare()
        stack.ensure()
        for part in ("milvus", "airflow"):  # an ingest needs only these; the other parts start meanwhile
            stack.wait_for(part)
    with stages.stage("3. Ingest: Airflow runs the Spark jobs"):
        corpus = str(folder / "corpus.jsonl")
        whole = Snapshot(wanted=True, allow_deleting=True)  # after an upgrade most packages may have changed
        print_ingest(ingest(settings, [corpus], TENANT, GROUPS, "packages", whole, say))
    with stages.stage("4. Wait for the model and the gateway"):
        for part in ("vllm", "gateway"):
            stack.wait_for(part)
    with stages.stage("5. Ask"):
        asked = [*_one_of_each_kind(folder / "questions_test.jsonl"), HOW_TO]
        answers = [_ask(settings, question) for question in asked]
    with stages.stage("6. Move the call records into the lakehouse"):
        flush_costs(settings, say)
    with stages.stage("7. The bill, in SQL"):
        _show_bill(settings, answers)
    _show_addresses(settings)
    _show_times(stages)


def _one_of_each_kind(path: Path) -> Iterator[dict[str, Any]]:
    """The first question of each kind; the same in the same environment."""
    questions = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for kind in QUESTION_KINDS:
        yield from [question for question in questions if question["id"].startswith(f"{kind}-")][:1]


def _ask(settings: Settings, question: Mapping[str, Any]) -> dict[str, Any]:
    console.print(f"\n[bold]Q[/] {escape(question['question'])}")
    answer = GatewayClient(settings).ask(question["question"], TENANT, GROUPS, program="multihop")
    print_answer(answer)
    verdict = "right" if success(answer["answer"], [question["answer"], *question["aliases"]]) else "wrong"
    console.print(f"[dim]expected: {escape(question['answer'])}; the answer is {verdict}[/]")
    return answer


def _show_bill(settings: Settings, answers: list[dict[str, Any]]) -> None:
    tasks = ", ".join(f"'{answer['task_id']}'" for answer in answers)
    for statement in (
        f"select task_id, program, status, hops, calls, input_tokens, cached_tokens, output_tokens, usd "  # noqa: S608
        f"from gold.tasks where task_id in ({tasks}) order by started_at",
        "select * from gold.cost_daily order by day, app, program, model",
    ):
        console.print(f"[bold]lakehop sql[/] {escape(json.dumps(statement))}")
        print_rows(vars(run_query(settings, statement)))
    billed = sum((Decimal(answer["usage"]["usd"]) for answer in answers), Decimal(0))
    summed = f"select coalesce(sum(usd), 0) as usd from silver.llm_calls where task_id in ({tasks})"  # noqa: S608
    loaded = Decimal(run_query(settings, summed).rows[0]["usd"])
    if loaded != billed:
        raise LakehopError(f"the answers cost ${billed} and the lakehouse has ${loaded}: call records are missing.")
    console.print(f"The answers cost ${billed}; the call records in the lakehouse sum up to the same amount.")


def _show_addresses(settings: Settings) -> None:
    console.print("\n[bold]== Look around[/]")
    secret = settings.home / "operator.key"
    for name, address in (
        ("console", f"{settings.gateway_url}/  (any API key, or the operator's in {secret})"),
        ("API docs", f"{settings.gateway_url}/docs"),
        ("Airflow", f"{settings.airflow_url}  (user and password: lakehop status)"),
    ):
        console.print(f"{name:9} {escape(address)}")
    console.print("\nStop it all with `make down`.")


def _show_times(stages: StageTimes) -> None:
    rows = [{"stage": name, "seconds": f"{seconds:.1f}"} for name, seconds in stages.seconds.items()]
    rows.append({"stage": "all", "seconds": f"{sum(stages.seconds.values()):.1f}"})
    print_rows({"columns": ["stage", "seconds"], "rows": rows})


def main() -> None:
    try:
        run(load_settings())
    except LakehopError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
