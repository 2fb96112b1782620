"""Load the call records that the services have spooled into the lakehouse.

**Effect.** Seals the spool's segments, appends them to `bronze.llm_calls` and merges them by `call_id` into
`silver.llm_calls`, which the gold cost views read. The task is skipped, at no cost, when nothing is spooled.

**Schedule.** Every 15 minutes: analysts read costs by the day, so more JVM starts would not pay. `lakehop costs flush`
triggers a run now. A run loads all segments, so missed runs need no catch-up.

**Re-run.** Clear the failed task, or wait for the next run: a segment stays in the spool until its records are in
Delta, and a record that comes twice is one row. **Refused lines** are in `bronze.quarantine` with their segment.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException

from dags.shared.assets import CALL_RECORDS
from dags.shared.jobs import DEFAULT_ARGS, spark_job
from lakehouse.settings import WRITER_POOL, load_settings

SETTINGS = load_settings()


def skip_if_nothing_is_spooled(context: Any) -> None:
    """Skip the task, so that an idle laptop starts no JVM every quarter of an hour."""
    if not any(SETTINGS.spool_dir.rglob("*.jsonl")):
        raise AirflowSkipException(f"nothing in {SETTINGS.spool_dir}")


# Costs must not wait for a long ingest. In buckets they have to: both jobs write `bronze.quarantine`, and a table in a
# bucket allows one Spark at a time.
POOL = WRITER_POOL if SETTINGS.warehouse_root.startswith("s3a://") else "default_pool"

with DAG(
    "load_costs",
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    spark_job(
        SETTINGS,
        "load_llm_calls",
        ("load_llm_calls",),
        pool=POOL,
        execution_timeout=timedelta(minutes=30),  # a run takes seconds; a week's backlog takes minutes
        pre_execute=skip_if_nothing_is_spooled,
        outlets=[CALL_RECORDS],
    )
