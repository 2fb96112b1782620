"""Take documents from files into the lakehouse and the search index.

**Effect.** `load_documents` parses the files at `path` and cuts them into chunks (`bronze.documents`, `silver.chunks`);
`build_index` embeds the texts that have no embedding yet and updates the tenant's Milvus collection.
Two tasks, because their resources differ on a cluster: plain CPU for the first, the embedding model for the second, on
a GPU if there is one. On the local stack the kept Spark driver runs both, and runs of several tenants at once; a run
whose tenant has another one waits for its turn as `up_for_reschedule`.

**Re-run.** Clear the failed task: it runs again, and the tasks after it. Every step merges by key, so nothing is
written or embedded twice. A wrong path or parameter fails at once without a retry: trigger the DAG again with the right
value.
Trigger it with the same parameters to ingest later changes.

**Refused rows** are in `bronze.quarantine` with the reason, their place and this run's id; the run continues without
them: `select * from bronze.quarantine where ingest_run_id = '…'`. Counts of every step: `ops.ingest_runs`, and the
button *What this run did* on the page of a task.
"""

from typing import Any

from airflow.sdk import DAG, Context, Param

from dags.shared.jobs import DEFAULT_ARGS, ingest_jobs
from dags.shared.params import groups_arguments, groups_param, tenant
from lakehouse.settings import load_settings

SETTINGS = load_settings()
PARAMS = {
    "path": Param(
        type="array",
        items={"type": "string", "minLength": 1},
        minItems=1,
        title="Path",
        description="Files, folders, `s3://…`, sitemaps (`https://…/sitemap.xml`), JSONL or Parquet files of "
        "documents, as the Spark driver sees them; one a line.",
    ),
    "tenant": tenant("Tenant of the documents: letters, digits, `_` and `-`."),
    "groups": groups_param("Groups that may read documents that name none; empty: all of the tenant."),
    "source": Param(
        type="string",
        minLength=1,
        maxLength=4000,
        title="Source",
        description="Name of the feed. A document's id is unique within it, and a snapshot deletes within it.",
    ),
    "snapshot": Param(
        False,
        type="boolean",
        title="Snapshot",
        description="The paths hold the whole source: its documents that are not there any more are deleted.",
    ),
    "allow_deleting": Param(
        False,
        type="boolean",
        title="Allow deleting",
        description="Let the snapshot delete most of the source, or all. Without it such a run fails and deletes "
        "nothing, because the disk may not be mounted.",
    ),
    "replay": Param(
        [],
        type="array",
        items={"type": "string", "minLength": 1},
        title="Replay",
        description="Runs of this source: ingest only their refused, still open documents; none: ingest all.",
    ),
}


def arguments(context: Context, jinja_env: Any) -> list[str]:
    # `--name=value` keeps a value that begins with a dash from being read as an option.
    params = context["params"]
    named = [f"--{name}={params[name]}" for name in ("tenant", "source")]
    paths = [f"--path={path}" for path in params["path"]]
    flags = [f"--{name.replace('_', '-')}" for name in ("snapshot", "allow_deleting") if params[name]]
    return [
        *named,
        *groups_arguments(params["groups"]),
        *paths,
        *flags,
        *(f"--replay={run}" for run in params["replay"]),
    ]


with DAG(
    "ingest",
    schedule=None,
    max_active_runs=16,  # of different tenants; runs of one tenant take turns (`spark_jobs.runner.turns`)
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    ingest_jobs(SETTINGS, arguments)
