"""Move a tenant, or all tenants, to another embedding model while searches continue.

**Effect.** Embeds the chunks by the new model, builds a new Milvus collection from Delta beside the live one, checks it
(every chunk is there; a sample of searches finds the exact nearest), and moves the alias. Until then searches read the
old collection and embed questions by its model. No document is read again.

**Return.** Trigger it with the old model: the old collection is kept, and only the changes since are written to it. The
collection before the old one is dropped.

**Re-run.** Clear the failed task: embedded texts stay, and a half-built collection is continued. A tenant whose new
collection fails its check keeps the old one; the log names it, and the other tenants continue. `ops.index_versions`
holds the live versions.

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
        "tenant": tenant_or_all("Tenant of the index; empty: every tenant."),
    },
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    spark_job(load_settings(), "reindex", ("reindex",), arguments, outlets=[INDEX_VERSION])
