"""Keep the Delta tables small and quick to open.

**Effect.** `maintain` rewrites small files as few (OPTIMIZE), writes a checkpoint of each table's log and removes log
entries that have expired, and deletes files that no version of the last `LAKEHOP_VACUUM_HOURS` needs (VACUUM). What
was remembered for users and has expired is deleted; all other rows stay as they are. Older versions of a table can't
be read afterwards.

The change feed that ingest follows is files too. A tenant that has been idle is first moved past the changes of
others; one whose last run failed half-way keeps the old files of that table, and the task's log names it.
Checkpoints of steps whose table is gone are dropped.

**Schedule.** Weekly, Sunday 03:00 UTC: small files slow reads down over weeks, not days. A missed week is made
good once. It runs in the pool of writers, so no ingest runs beside it. Cost loading may: where the two meet in one
file, one of them tries again.

**Re-run.** Clear the failed task, or trigger the DAG: it can be done any number of times. **Refused rows:** none, it
takes nothing in; `bronze.quarantine` is maintained like the others.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from dags.shared.jobs import DEFAULT_ARGS, spark_job
from lakehouse.settings import load_settings

with DAG(
    "maintenance",
    # With a start date, a new stack would begin with last Sunday's run, and its first ingest would wait for that.
    schedule=CronTriggerTimetable("0 3 * * 0", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    spark_job(load_settings(), "maintain", ("maintain",))
