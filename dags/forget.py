"""Remove documents, a source, or a whole tenant for good, and prove that nothing is left.

**Effect.** The documents can be found no more; then their rows go from every table, then the files that held them,
old versions and change data among them (VACUUM without retention, of this tenant's files); then every file that is
left is read, and Milvus is asked: one row found fails the run. Without `source` and `document`, the whole tenant goes.
What stays is the bill (`silver.llm_calls`) and the proof (`ops.forget_runs`).

**Re-run.** Clear the failed task, or trigger it again with the same parameters: every part can be done twice, and a
run that was killed at any point is brought to the same end. A document that its source still holds comes back with
the next ingest: take it out there first. What was refused is forgotten as well, in `bronze.quarantine`.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Param

from lakehouse.settings import PROJECT_ROOT, load_settings

SETTINGS = load_settings()
PARAMS = {
    "tenant": Param(
        type="string",
        pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        title="Tenant",
        description="Whose documents they are: letters, digits, `_` and `-`.",
    ),
    "source": Param(
        "", type="string", maxLength=4000, title="Source", description="Feed that they came from; empty: any."
    ),
    "document": Param(
        [],
        type="array",
        items={"type": "string", "minLength": 1},
        title="Documents",
        description="Their ids, one a line; none: all of the source, and without a source the whole tenant.",
    ),
}


def arguments(context: Any, jinja_env: Any) -> list[str]:
    """A list made from the values, no template: no character of an id is read as code or splits an argument."""
    params = context["params"]
    named = [f"--tenant={params['tenant']}"]
    named += [f"--source={params['source']}"] if params["source"] else []
    named += [f"--document={document}" for document in params["document"]]
    return ["forget_documents", f"--run-id={context['run_id']}", *named]


with DAG(
    "forget",
    schedule=None,
    max_active_runs=1,
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args={"retries": 2, "retry_delay": timedelta(seconds=15)},
):
    SparkSubmitOperator(
        task_id="forget_documents",
        application=str(PROJECT_ROOT / "spark_jobs" / "main.py"),
        application_args=arguments,  # type: ignore[arg-type]  # a templated field takes a callable too
        conf=SETTINGS.spark_conf,
        name="lakehop-forget_documents",
    )
