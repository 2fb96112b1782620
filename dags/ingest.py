"""Take documents from files into the lakehouse and the search index.

**Effect.** `load_documents` parses what lies at `path`, cuts it into chunks and links them by what they say
(`bronze.documents`, `silver.chunks`, `silver.links`: plain CPU, no model, and before the index that carries them);
`build_index` embeds the texts that have no embedding yet and brings the tenant's Milvus collection up to date.
Two tasks, two JVMs: a JVM start costs about 10 seconds, and this is where the resources differ: plain CPU before,
the embedding model (on a GPU where there is one) after.

**Re-run.** Clear the failed task: it and what follows run again, what succeeded does not. Every step merges by key, so
nothing is written or embedded twice. A wrong path or parameter fails at once and is not retried: trigger the DAG
again with the right one. Trigger it with the same parameters to take in what changed since.

**Refused rows** are in `bronze.quarantine` with the reason, the bytes' place and this run's id; the run goes on without
them: `select * from bronze.quarantine where ingest_run_id = '…'`. Counts of every step: `ops.ingest_runs`, and the
button *What this run did* on a task's page.
"""

from typing import Any

from airflow.sdk import DAG, Context, Param

from dags.shared.jobs import DEFAULT_ARGS, ingest_jobs
from dags.shared.params import tenant
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
    "tenant": tenant("Whose documents they are: letters, digits, `_` and `-`."),
    "groups": Param(
        "",
        type="string",
        title="Groups",
        description="Comma-separated groups that may read documents that name none; empty: all of the tenant.",
    ),
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
        description="The paths hold all of the source: documents of it that are no longer there are deleted.",
    ),
    "replay": Param(
        [],
        type="array",
        items={"type": "string", "minLength": 1},
        title="Replay",
        description="Runs of this source: only what they refused and is still open is taken in; none: everything.",
    ),
}


def arguments(context: Context, jinja_env: Any) -> list[str]:
    # `--name=value` keeps a value that begins with a dash from being read as an option.
    params = context["params"]
    named = [f"--{name}={params[name]}" for name in ("tenant", "source", "groups")]
    paths = [f"--path={path}" for path in params["path"]]
    snapshot = ["--snapshot"] if params["snapshot"] else []
    return [*named, *paths, *snapshot, *(f"--replay={run}" for run in params["replay"])]


with DAG(
    "ingest",
    schedule=None,
    max_active_runs=1,  # in order: of two runs of one source the later must win
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    ingest_jobs(SETTINGS, arguments)
