"""Move a tenant, or all, to another embedding model, without an hour in which nothing is found.

**Effect.** The chunks are embedded by the new model, a new Milvus collection is built from Delta beside the live one
and checked (every chunk is there; a sample's exact nearest are found), and the alias moves to it. Searches read the old
collection until then and embed their questions by its model. No document is read again.

**Return.** Trigger it with the old model: the old collection is kept and takes in only what changed since. The one
before that is dropped.

**Re-run.** Clear the failed task: what was embedded stays, a collection that was begun is gone on with. A tenant whose
new collection fails its check keeps the old one, and the others go on; the log names it. `ops.index_versions` says
what is live since when.

**Refused rows:** none, nothing is parsed here; `bronze.quarantine` stays as it is.
"""

from typing import Any

from airflow.sdk import DAG, Context, Param

from dags.shared.assets import INDEX_VERSION
from dags.shared.jobs import DEFAULT_ARGS, spark_job
from dags.shared.params import tenant_or_all
from lakehouse.settings import load_settings


def arguments(context: Context, jinja_env: Any) -> list[str]:
    params = context["params"]
    tenant = [f"--tenant={params['tenant']}"] if params["tenant"] else []
    return [*tenant, f"--embedding-model={params['embedding_model']}"]


with DAG(
    "reindex",
    schedule=None,
    max_active_runs=1,
    doc_md=__doc__,
    params={
        "embedding_model": Param(
            type="string",
            minLength=1,
            title="Embedding model",
            description="Id of a model that came with the environment, or a folder that every Spark worker and the "
            "gateway see.",
        ),
        "tenant": tenant_or_all("Whose index; empty: every tenant's."),
    },
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    spark_job(load_settings(), "reindex", ("reindex",), arguments, outlets=[INDEX_VERSION])
