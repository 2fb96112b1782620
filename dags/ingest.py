"""Take documents from files into the lakehouse and the search index.

**Effect.** `load_documents` parses what lies at `path` and cuts it into chunks (`bronze.documents`, `silver.chunks`);
`build_index` embeds the texts that have no embedding yet and brings the tenant's Milvus collection up to date.
Two tasks, two JVMs: a JVM start costs about 10 seconds, and this is where the resources differ: plain CPU before,
the embedding model (on a GPU where there is one) after.

**Re-run.** Clear the failed task. Every step merges by key, so nothing is written or embedded twice.
Trigger the DAG again with the same parameters to take in what changed since.

**Refused rows** are in `bronze.quarantine` with the reason, the bytes' place and this run's id; the run goes on without
them: `select * from bronze.quarantine where ingest_run_id = '…'`. Counts of every step: `ops.ingest_runs`.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Param

from lakehouse.settings import PROJECT_ROOT, load_settings

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
    "tenant": Param(
        type="string",
        pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        title="Tenant",
        description="Whose documents they are: letters, digits, `_` and `-`.",
    ),
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
}


def spark_job(task_id: str, *steps: str) -> SparkSubmitOperator:
    """Submit `steps` in order in one JVM."""

    def arguments(context: Any, jinja_env: Any) -> list[str]:
        # A list made from the values, no template: quotes, commas and braces in a group or a path stay what they are,
        # and `--name=value` keeps a value that begins with a dash from being read as an option.
        params = context["params"]
        named = [f"--{name}={params[name]}" for name in ("tenant", "source", "groups")]
        paths = [f"--path={path}" for path in params["path"]]
        snapshot = ["--snapshot"] if params["snapshot"] else []
        return [*steps, f"--run-id={context['run_id']}", *named, *paths, *snapshot]

    return SparkSubmitOperator(
        task_id=task_id,
        application=str(PROJECT_ROOT / "spark_jobs" / "main.py"),
        application_args=arguments,  # type: ignore[arg-type]  # a templated field takes a callable too
        conf=SETTINGS.spark_conf,
        name=f"lakehop-{task_id}",
    )


with DAG(
    "ingest",
    schedule=None,
    max_active_runs=1,  # one writer per Milvus collection and per Delta table
    doc_md=__doc__,
    params=PARAMS,
    tags=["lakehop"],
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=15),
        "retry_exponential_backoff": True,
        "max_retry_delay": timedelta(minutes=5),
    },
):
    load_documents = spark_job("load_documents", "parse_documents", "chunk_documents")
    load_documents >> spark_job("build_index", "embed_chunks", "sync_index")
