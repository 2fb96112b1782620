"""Compile a program: find the best demonstrations for the model, score the program, and register it.

**Effect.** `lakehop compile` runs the optimizer on a file of questions, scores the program before and after on
questions that the optimizer did not see, and writes a row of `ops.agent_programs`. The program goes live for the tenant
when its success is not lower and a success costs no more; `lakehop programs use` returns to the program before. Every
question costs as much as a user's question, several times.

**Schedule.** `compile` has none: start it when you want to pay for it. Each entry of `[compilations]` in
`LAKEHOP_FEEDS_FILE` is a DAG `compile_<name>` with its own schedule. A new program starts `evaluate`.

**Re-run.** Clear the failed task: it starts from the beginning, and the calls are paid again. **Refused rows:** none go
to `bronze.quarantine`; a bad line of the questions file fails the task at once, and the error names the line.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from airflow.sdk import DAG, Param, get_current_context, task

from dags.shared.assets import PROGRAM
from dags.shared.feeds_file import read_feeds_file
from dags.shared.jobs import DEFAULT_ARGS
from dags.shared.params import GROUPS, groups_arguments, tenant
from dags.shared.processes import run_lakehop
from lakehouse.settings import MODEL_POOL, Program, load_settings

PARAMS = {
    "program": Param("multihop", enum=list(get_args(Program)), title="Program", description="Program to compile."),
    "optimizer": Param(
        "bootstrap",
        type="string",
        minLength=1,
        title="Optimizer",
        description="DSPy optimizer; a wrong name fails the task with a list of the right ones.",
    ),
    "questions": Param(
        type="string",
        minLength=1,
        title="Questions",
        description="JSONL file of questions with answers, as the Airflow worker sees it.",
    ),
    "test_questions": Param(
        "",
        type="string",
        title="Test questions",
        description="Questions for the score; empty: half of the questions, which the optimizer then does not see.",
    ),
    "tenant": tenant("Tenant whose documents answer them."),
    "groups": GROUPS,
}


def options(given: Mapping[str, Any]) -> list[str]:
    """Options of the command; empty parameters are left out."""
    named = {name: value for name, value in given.items() if value}
    groups = groups_arguments(named.pop("groups", []))
    return [*(f"--{name.replace('_', '-')}={value}" for name, value in named.items()), *groups]


@task(
    pool=MODEL_POOL,
    outlets=[PROGRAM],
    retries=0,  # a retry would pay every call again
    execution_timeout=timedelta(hours=6),  # some hundred questions, each asked a few times by a small model
)
def compile_program(declared: dict[str, str]) -> dict[str, Any]:
    """Compile with the declared options, else with those of the form; return the scores before and after."""
    context = get_current_context()
    given = declared or context["params"]
    document = run_lakehop(["compile", *options(given)])
    context["outlet_events"][PROGRAM].extra = {"tenant": given["tenant"], "program": given["program"]}
    return document


with DAG(
    "compile",
    schedule=None,
    max_active_runs=1,
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    compile_program({})

for name, compilation in read_feeds_file(load_settings()).compilations.items():
    with DAG(
        f"compile_{name}",
        schedule=compilation.schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),  # no runs for past dates: `catchup` is off
        catchup=False,
        max_active_runs=1,
        doc_md=__doc__,
        tags=["lakehop"],
        default_args=DEFAULT_ARGS,
    ) as dag:
        compile_program(compilation.model_dump(mode="json", exclude={"schedule"}, exclude_none=True))
    globals()[dag.dag_id] = dag
