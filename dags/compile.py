"""Compile a program: find the demonstrations with which the model answers best, score it, and register it.

**Effect.** `lakehop compile` runs the optimizer on a file of questions, scores the program before and after on
questions that the optimizer did not see, and writes a row of `ops.agent_programs`. The gateway loads it when it is
better. Every question costs what a user's would, several times over.

**Schedule.** None: whoever pays for it starts it. A new program makes `evaluate` run, where questions are declared.

**Re-run.** Clear the failed task: it starts anew, and the calls are paid again. **Refused rows:** none go to
`bronze.quarantine`; a bad line of the questions file fails the task at once and is named.
"""

from datetime import timedelta
from typing import Any, get_args

from airflow.sdk import DAG, Param, get_current_context, task

from dags.assets import PROGRAM
from dags.jobs import DEFAULT_ARGS
from dags.params import GROUPS, tenant
from dags.processes import run_lakehop
from lakehouse.settings import MODEL_POOL, Program

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


@task(
    pool=MODEL_POOL,
    outlets=[PROGRAM],
    retries=0,  # compiled again, every call is paid again
    execution_timeout=timedelta(hours=6),  # some hundred questions, each asked a few times by a small model
)
def compile_program() -> dict[str, Any]:
    """Compile, and return the scores before and after."""
    context = get_current_context()
    params = context["params"]
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in params.items() if value]
    document = run_lakehop(["compile", *arguments])
    context["outlet_events"][PROGRAM].extra = {"tenant": params["tenant"], "program": params["program"]}
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
    compile_program()
