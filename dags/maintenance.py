"""Keep the Delta tables small and quick to open.

**Effect.** `maintain` rewrites small files as few (OPTIMIZE), writes a checkpoint of each table's log and removes log
entries that have expired, and deletes files that no version of the last `LAKEHOP_VACUUM_HOURS` needs (VACUUM). Expired
memories are deleted; all other rows stay. Older versions of a table cannot be read afterwards. Tables that this release
no longer has are deleted once, and the log names them.

The change feed of the ingest is files too. An idle tenant is first moved past the changes of other tenants. A tenant
whose last run failed half-way keeps the old files of that table, and the task's log names it. Checkpoints of steps
without their table are deleted.

**Schedule.** Weekly, Sunday 03:00 UTC: small files slow reads down over weeks, not days. Missed weeks are caught up by
one run. It runs in the pool of writers, so no ingest runs beside it. Loading costs may: if both write one file, one of
them tries again.

**Re-run.** Clear the failed task, or trigger the DAG: it can be repeated at any time. **Refused rows:** none, it reads
no input; `bronze.quarantine` is maintained like the other tables.
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
