"""Compile a program: find the demonstrations with which the model answers best, score it, and register it.

**Effect.** `lakehop compile` runs the optimizer on a file of questions, scores the program before and after on
questions that the optimizer did not see, and writes a row of `ops.agent_programs`. The tenant is answered by it when
success is not lower and a success costs no more; `lakehop programs use` returns to the one before. Every question costs
what a user's would, several times over.

**Schedule.** `compile` has none: whoever pays for it starts it. Each of `[compilations]` in `LAKEHOP_FEEDS_FILE` is a
DAG `compile_<name>` with its own. A new program makes `evaluate` run, where questions are declared.

**Re-run.** Clear the failed task: it starts anew, and the calls are paid again. **Refused rows:** none go to
`bronze.quarantine`; a bad line of the questions file fails the task at once and is named.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from airflow.sdk import DAG, Param, get_current_context, task

from dags.shared.assets import PROGRAM
from dags.shared.feeds_file import read_feeds_file
from dags.shared.jobs import DEFAULT_ARGS
from dags.shared.params import GROUPS, tenant
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
        description="Others to score with; empty: half of the questions, which the optimizer then does not see.",
    ),
    "tenant": tenant("Whose documents answer them."),
    "groups": GROUPS,
}


def options(given: Mapping[str, Any]) -> list[str]:
    """The command's options; what is empty is left to the command."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items() if value]


@task(
    pool=MODEL_POOL,
    outlets=[PROGRAM],
    retries=0,  # compiled again, every call is paid again
    execution_timeout=timedelta(hours=6),  # some hundred questions, each asked a few times by a small model
)
def compile_program(declared: dict[str, str]) -> dict[str, Any]:
    """Compile what is declared, else what the form says; return the scores before and after."""
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
        start_date=datetime(2026, 1, 1, tzinfo=UTC),  # the past is not compiled for: `catchup` is off
        catchup=False,
        max_active_runs=1,
        doc_md=__doc__,
        tags=["lakehop"],
        default_args=DEFAULT_ARGS,
    ) as dag:
        compile_program(compilation.model_dump(mode="json", exclude={"schedule"}, exclude_none=True))
    globals()[dag.dag_id] = dag
