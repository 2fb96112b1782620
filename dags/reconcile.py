"""Compare every tenant's Milvus collection with its chunks in Delta, and repair what differs.

**Effect.** Writes missing rows, removes rows without a chunk, and writes stale texts and permissions again. No embedded
text is embedded again. `ops.reconcile_runs` counts each kind of drift by tenant. Zeros are normal; any other
number has a cause to look for (a restored backup, a second writer, a full disk).

**Schedule.** Nightly: drift is rare and comes from outside the pipeline, but a wrong permission should not last longer
than a day. It reads both sides completely, without vectors: 20,000 chunks in seconds.

**Re-run.** Clear the failed task. Every repair can be repeated.

**Refused rows:** none, nothing is parsed here; `bronze.quarantine` stays as it is.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Context, CronTriggerTimetable

from dags.shared.assets import SEARCH_INDEX
from dags.shared.jobs import DEFAULT_ARGS, spark_job
from dags.shared.params import tenant_or_all
from lakehouse.settings import load_settings


def arguments(context: Context, jinja_env: Any) -> list[str]:
    tenant = context["params"]["tenant"]
    return [f"--tenant={tenant}"] if tenant else []


with DAG(
    "reconcile",
    # with a start date, a new stack would begin with last night's run
    schedule=CronTriggerTimetable("30 2 * * *", timezone="UTC", run_immediately=timedelta(0)),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    params={"tenant": tenant_or_all("Tenant of the index; empty: every tenant.")},
    tags=["lakehop"],
    default_args=DEFAULT_ARGS,
):
    spark_job(load_settings(), "reconcile_index", ("reconcile_index",), arguments, outlets=[SEARCH_INDEX])
