"""Ask a file of questions and score the answers, so that a worse index or program is seen before users see it.

**Effect.** `lakehop eval` asks the gateway, as any app would, and writes `gold.eval_runs` and `gold.eval_results`.
The scores are on the task's XCom page. Every question costs what a user's would; the calls are in the bill.

**Schedule.** When a tenant has a new index version (`reindex`) or there is a new program (`compile`): both seldom and
both may change every answer. Not after every ingest, which would be a bill that nobody ordered. What is asked then
stands in `[evaluations]` of `LAKEHOP_FEEDS_FILE`; where nothing does, the run is skipped. Triggered by hand, the form
says what is asked. One at a time, in the pool `model_caller`, beside which users' tasks go on.

**Re-run.** Clear the failed task: all questions are asked again, as a new run. A question that fails counts as wrong
and is a row of `gold.eval_results`. **Refused rows:** none go to `bronze.quarantine`; a bad line of the questions file
fails the task at once and is named.
"""

from datetime import timedelta
from typing import Any, get_args

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from dags.shared.assets import EVALUATION, INDEX_VERSION, PROGRAM
from dags.shared.feeds_file import read_feeds_file
from dags.shared.jobs import DEFAULT_ARGS
from dags.shared.params import GROUPS, tenant_or_all
from dags.shared.processes import run_lakehop
from lakehouse.settings import MODEL_POOL, Program, load_settings

PARAMS = {
    "questions": Param(
        "",
        type="string",
        title="Questions",
        description="JSONL file of questions, as the Airflow worker sees it; empty: what `[evaluations]` declares.",
    ),
    "tenant": tenant_or_all("Whose documents answer them; empty: every tenant that `[evaluations]` declares."),
    "groups": GROUPS,
    "program": Param("multihop", enum=list(get_args(Program)), title="Program", description="Program to ask."),
}


def wanted(context: Any) -> list[dict[str, str]]:
    """What to ask: the form's questions, or those declared for the tenants that the triggering events are about."""
    params = context["params"]
    if params["questions"]:
        return [dict(params)]
    events = [event for of_asset in context["triggering_asset_events"].values() for event in of_asset]
    about = {event.extra.get("tenant") for event in events} or {params["tenant"] or None}
    declared = read_feeds_file(load_settings()).evaluations.values()
    return [one.model_dump(mode="json") for one in declared if one.tenant in about or None in about]


@task(
    pool=MODEL_POOL,
    outlets=[EVALUATION],
    retries=0,  # asked again, every question is paid again
    execution_timeout=timedelta(hours=3),  # a thousand questions of ten seconds, with room
)
def ask_questions() -> list[dict[str, Any]]:
    """Evaluate and return the scores."""
    found = wanted(get_current_context())
    if not found:
        raise AirflowSkipException("no questions: name a file in the form, or [evaluations] in LAKEHOP_FEEDS_FILE.")
    return [
        run_lakehop(["eval", *(f"--{name}={one[name]}" for name in ("questions", "tenant", "groups", "program"))])
        for one in found
    ]


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
