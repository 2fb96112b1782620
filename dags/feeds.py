"""Ingest a feed of documents that comes by date: a DAG `ingest_<name>` for each feed of `LAKEHOP_FEEDS_FILE`.

**Effect.** As the DAG `ingest`, with the path of the run's date: `{{ ds }}` in it is the logical date. The source is
the name of the feed, so a document keeps its identity from date to date, and the later date wins.

**Schedule.** The feed's own. Missed dates are not caught up: ingest them by a backfill, oldest first,
`airflow backfill create --dag-id ingest_wiki --from-date 2026-11-01 --to-date 2026-11-07 --max-active-runs 1`.
Backfill up to the newest date, else an old version of a document stays on top of a newer one.
`--reprocess-behavior failed` takes only the dates that failed.

**Re-run.** Clear the failed task of that date: it runs again, and the tasks after it. A date without files is wrong
input and fails at once: clear it when the export has come.

**Refused rows** are in `bronze.quarantine` under the run's id; counts in `ops.ingest_runs`.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time
from typing import Any

from airflow.sdk import DAG, Context
from airflow.sdk.exceptions import AirflowFailException

from dags.shared.feeds_file import Feed, read_feeds_file
from dags.shared.jobs import DEFAULT_ARGS, ingest_jobs
from dags.shared.params import groups_arguments
from lakehouse.settings import load_settings

SETTINGS = load_settings()


def arguments_of(name: str, feed: Feed) -> Callable[[Context, Any], Sequence[str]]:
    """The job's arguments for a date. The path is a template of the feeds file, not a parameter of a run."""

    def arguments(context: Context, jinja_env: Any) -> list[str]:
        if not context.get("logical_date"):
            raise AirflowFailException("this run has no logical date to fill into the path: trigger it with one.")
        paths = [f"--path={jinja_env.from_string(path).render(**context)}" for path in feed.path]
        named = [f"--tenant={feed.tenant}", f"--source={name}", *groups_arguments(feed.groups)]
        flags = {"--snapshot": feed.snapshot, "--allow-deleting": feed.allow_deleting}
        return [*named, *paths, *(flag for flag, is_set in flags.items() if is_set)]

    return arguments


for name, feed in read_feeds_file(SETTINGS).feeds.items():
    with DAG(
        f"ingest_{name}",
        schedule=feed.schedule,
        start_date=datetime.combine(feed.start_date, time(), UTC),
        catchup=False,
        max_active_runs=1,  # in the order of dates: the later one must win
        doc_md=__doc__,
        tags=["lakehop", "feed"],
        default_args=DEFAULT_ARGS,
    ) as dag:
        ingest_jobs(SETTINGS, arguments_of(name, feed))
    globals()[dag.dag_id] = dag
