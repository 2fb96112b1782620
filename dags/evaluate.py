"""Ask a file of questions and score the answers, to find a worse index or program before users do.

**Effect.** `lakehop eval` asks the gateway, as any app would, and writes `gold.eval_runs` and `gold.eval_results`.
The scores are on the task's XCom page. Every question costs as much as a user's question; the calls are in the bill.

**Schedule.** After a new index version of a tenant (`reindex`) or a new program (`compile`): both are rare and may
change every answer. Not after every ingest, because of the cost. The questions are those of `[evaluations]` in
`LAKEHOP_FEEDS_FILE`; without any, the run is skipped. A manual run asks the questions of its form. Runs go one at a
time, in the pool `model_caller`; users' tasks continue meanwhile.

**Re-run.** Clear the failed task: all questions are asked again, as a new run. A question that fails counts as wrong
and is a row of `gold.eval_results`. **Refused rows:** none go to `bronze.quarantine`; a bad line of the questions file
fails the task at once, and the error names the line.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.shared.assets import EVALUATION, INDEX_VERSION, PROGRAM
from dags.shared.feeds_file import read_feeds_file
from dags.shared.jobs import DEFAULT_ARGS
from dags.shared.params import GROUPS, groups_arguments, tenant_or_all
from dags.shared.processes import run_lakehop
from lakehouse.settings import MODEL_POOL, Program, load_settings

PARAMS = {
    "questions": Param(
        "",
        type="string",
        title="Questions",
        description="JSONL file of questions, as the Airflow worker sees it; empty: what `[evaluations]` declares.",
    ),
    "tenant": tenant_or_all("Tenant whose documents answer them; empty: every tenant that `[evaluations]` declares."),
    "groups": GROUPS,
    "program": Param("multihop", enum=list(get_args(Program)), title="Program", description="Program to ask."),
}

OPTIONS = ("questions", "tenant", "program")


def options(evaluation: Mapping[str, Any]) -> list[str]:
    """Options of the command."""
    return [*(f"--{name}={evaluation[name]}" for name in OPTIONS), *groups_arguments(evaluation["groups"])]


def wanted(context: Any) -> list[dict[str, Any]]:
    """The evaluations to run: the form's, or the declared ones of the tenants in the triggering events."""
    params = context["params"]
    if params["questions"]:
        return [dict(params)]
    events = [event for of_asset in context["triggering_asset_events"].values() for event in of_asset]
    tenants = {event.extra.get("tenant") for event in events} or {params["tenant"] or None}
    declared = read_feeds_file(load_settings()).evaluations.values()
    return [
        evaluation.model_dump(mode="json") for evaluation in declared if evaluation.tenant in tenants or None in tenants
    ]


@task(
    pool=MODEL_POOL,
    outlets=[EVALUATION],
    retries=0,  # a retry would pay every question again
    execution_timeout=timedelta(hours=3),  # a thousand questions of ten seconds, with room
)
def ask_questions() -> list[dict[str, Any]]:
    """Evaluate and return the scores."""
    evaluations = wanted(get_current_context())
    if not evaluations:
        raise AirflowSkipException("no questions: name a file in the form, or [evaluations] in LAKEHOP_FEEDS_FILE.")
    return [run_lakehop(["eval", *options(evaluation)]) for evaluation in evaluations]


with DAG(
    "evaluate",
    schedule=(INDEX_VERSION | PROGRAM),
    max_active_runs=1,
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    ask_questions()
