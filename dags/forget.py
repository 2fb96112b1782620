"""Remove documents, a source, or a whole tenant for good, and prove that nothing is left.

**Effect.** The documents can be found no more; then their rows go from every table, then the files that held them,
old versions and change data among them (VACUUM without retention, of this tenant's files); then every file that is
left is read, and Milvus is asked: one row found fails the run. Without `source` and `document`, the whole tenant goes.
What stays is the bill (`silver.llm_calls`) and the proof (`ops.forget_runs`).

**Re-run.** Clear the failed task, or trigger it again with the same parameters: every part can be done twice, and a
run that was killed at any point is brought to the same end. A document that its source still holds comes back with
the next ingest: take it out there first. What was refused is forgotten as well, in `bronze.quarantine`.
"""

from typing import Any

from airflow.sdk import DAG, Context, Param

from dags.shared.jobs import DEFAULT_ARGS, spark_job
from dags.shared.params import tenant
from lakehouse.settings import load_settings

PARAMS = {
    "tenant": tenant("Whose documents they are: letters, digits, `_` and `-`."),
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


def arguments(context: Context, jinja_env: Any) -> list[str]:
    params = context["params"]
    source = [f"--source={params['source']}"] if params["source"] else []
    return [f"--tenant={params['tenant']}", *source, *(f"--document={document}" for document in params["document"])]


with DAG(
    "forget",
    schedule=None,
    max_active_runs=1,
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    spark_job(load_settings(), "forget_documents", ("forget_documents",), arguments)
