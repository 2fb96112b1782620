"""Bring the call records that services have spooled into the lakehouse.

**Effect.** Seals the spool's segments, appends them to `bronze.llm_calls`, merges them by `call_id` into
`silver.llm_calls`; the gold cost views read that table.

**Schedule.** Every 15 minutes: analysts read costs by the day, and a JVM start for a handful of records costs more
than it gives sooner. `lakehop costs flush` triggers a run now.

**Re-run.** Clear the failed task, or wait for the next run: a segment stays in the spool until its records are in
Delta, and a record that comes twice is merged into one row. A line that cannot be read stays in `bronze.llm_calls`.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG

from lakehouse.settings import PROJECT_ROOT, load_settings

with DAG(
    "load_costs",
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,  # a run takes all that is spooled, so missed runs are not owed
    max_active_runs=1,
    doc_md=__doc__,
    tags=["lakehop"],
    default_args={"retries": 2, "retry_delay": timedelta(seconds=15), "retry_exponential_backoff": True},
):
    SparkSubmitOperator(
        task_id="load_llm_calls",
        application=str(PROJECT_ROOT / "spark_jobs" / "main.py"),
        application_args=["load_llm_calls", "--run-id={{ run_id }}"],
        conf=load_settings().spark_conf,
        name="lakehop-load_llm_calls",
    )
