"""Remove documents, a source, or a whole tenant for good, and prove that nothing is left.

**Effect.** Removes the documents from the index, then their rows from every table, then the files of these rows with
old versions and change data (VACUUM without retention, of this tenant's files). Then it reads every remaining file and
asks Milvus: one row that is left fails the run. Without `source` and `document` it removes the whole tenant. The bill
(`silver.llm_calls`) and the proof (`ops.forget_runs`) stay.

**Re-run.** Clear the failed task, or trigger it again with the same parameters: every part can be repeated, also after
a kill. A document that is still in its source comes back with the next ingest: delete it there first. **Refused rows**
of the documents in `bronze.quarantine` are removed as well.
"""

from typing import Any

from airflow.sdk import DAG, Context, Param

from dags.shared.jobs import DEFAULT_ARGS, spark_job
from dags.shared.params import tenant
from lakehouse.settings import load_settings

PARAMS = {
    "tenant": tenant("Tenant of the documents: letters, digits, `_` and `-`."),
    "source": Param(
        "", type="string", maxLength=4000, title="Source", description="Feed of the documents; empty: any."
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
