"""The Spark task that every DAG uses: submission, retries, pools, and the reaction to failures.

On the local stack the kept Spark driver runs the job; elsewhere, and where none is kept, the job is submitted. A job
with exit code 2 got wrong input: a retry would change nothing, so its task fails at once. A job whose tenant has
another writer did nothing: its task gives its slot to other tenants and asks again. Any other failure is retried with
a growing delay. `dags.shared.alerts` sends the message after the last attempt.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import BaseOperatorLink, Context, conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException

from dags.shared.alerts import job_arguments, last_error, tell_of_failure
from dags.shared.assets import SEARCH_INDEX
from lakehouse.errors import Unavailable
from lakehouse.kept_driver import BUSY, BusyError, run_there
from lakehouse.settings import PROJECT_ROOT, WRITER_POOL, Settings, load_settings
from lakehouse.spark_conf import embedding_conf, spark_conf

_ERROR_LINES = 40
DEFAULT_ARGS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=15),  # long enough for a part that `lakehop up` restarts
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "on_failure_callback": tell_of_failure,
}
_EMBEDDING_STEPS = {"embed_chunks", "reindex", "reconcile_index"}
_EXIT_CODE = re.compile(r"[Cc]ode is: (\d+)\b")  # of spark-submit, or of the driver's pod on Kubernetes
_WRONG_INPUT = 2
_BUSY_WAIT_S = 15  # of a job that was submitted: it has waited for a minute already


class RunNumbersLink(BaseOperatorLink):
    """A button on the page of a task that leads to the numbers of the run: documents, chunks, embeddings, seconds."""

    name = "What this run did"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        page = f"dags/{ti_key.dag_id}/runs/{ti_key.run_id}/tasks/{ti_key.task_id}/xcom"
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/{page}"


class SparkJob(SparkSubmitOperator):
    """`spark_jobs/main.py` with some steps. Its XCom `numbers` is a copy of the run's rows of `ops.ingest_runs`.

    `refusals` counts its refused documents by kind of reason, where there are any.
    """

    operator_extra_links = (RunNumbersLink(),)

    def execute(self, context: Context) -> None:
        """Run the job, push the numbers. Raises `AirflowFailException`, which is not retried, for wrong input."""
        try:
            if not self._ran_in_kept_driver():
                super().execute(context)
        except AirflowException as error:
            found = _EXIT_CODE.search(str(error))
            exit_code = int(found[1]) if found else 1
            if exit_code == _WRONG_INPUT:
                raise AirflowFailException(f"wrong input, so not tried again: {last_error(error)}") from error
            if exit_code == BUSY:
                raise _ask_again(_BUSY_WAIT_S) from error
            raise
        for asset in self.outlets:
            context["outlet_events"][asset].extra = job_arguments(self) | {"run_id": context["run_id"]}
        if numbers := self._numbers(context["run_id"]):
            context["ti"].xcom_push(key="numbers", value=numbers)
        if any(step.get("documents_quarantined") for step in numbers.values()):
            context["ti"].xcom_push(key="refusals", value=self._refusals(context["run_id"]))

    def _ran_in_kept_driver(self) -> bool:
        """Whether the kept driver took the job. Raises as spark-submit's hook does where it failed."""
        lines: deque[str] = deque(maxlen=_ERROR_LINES)

        def show(line: str) -> None:
            lines.append(line)
            self.log.info("%s", line)

        try:
            exit_code = run_there(load_settings(), self.application_args, show)  # type: ignore[arg-type]  # rendered
        except BusyError as error:
            raise _ask_again(error.wait_s) from error
        except Unavailable as error:
            raise AirflowException(str(error)) from error
        if exit_code:
            raise AirflowException("\n".join([*lines, f"The job failed, error code is: {exit_code}."]))
        return exit_code == 0

    def on_kill(self) -> None:
        """Stop the whole job: without its JVM alone, the Python driver would run on after the pool slot is free."""
        submitted = self._hook and self._hook._submit_sp
        with suppress(psutil.NoSuchProcess):
            members = psutil.Process(submitted.pid).children(recursive=True) if submitted else []
            super().on_kill()
            for member in members:
                with suppress(psutil.NoSuchProcess):
                    member.kill()

    def _numbers(self, run_id: str) -> dict[str, dict[str, float]]:
        rows = self._rows("ops/ingest_runs", "run_id", run_id)
        return {row["step"]: {k: v for k, v in row.items() if isinstance(v, int | float)} for row in rows}

    def _refusals(self, run_id: str) -> dict[str, int]:
        """The refused documents by kind of reason, the most first."""
        kinds = Counter(row["kind"] for row in self._rows("bronze/quarantine", "ingest_run_id", run_id))
        for kind, count in kinds.most_common():
            self.log.warning("refused: %d %s", count, kind)
        return dict(kinds.most_common())

    def _rows(self, path: str, column: str, value: str) -> list[dict[str, Any]]:
        from deltalake import DeltaTable  # here, for parsing a DAG need not load it
        from pyarrow import table

        settings = load_settings()
        root = re.sub("^s3a://", "s3://", settings.warehouse_root)
        quoted = value.replace("'", "''")
        try:
            opened = DeltaTable(f"{root}/{path}", storage_options=settings.delta_storage)
            return table(opened.scan(predicate=f"{column} = '{quoted}'")).to_pylist()
        except Exception as error:  # the work is done, and missing numbers must not fail the task
            self.log.warning("%s cannot be read, so this page has no numbers of it: %s", path, error)
            return []


def _ask_again(wait_s: int) -> AirflowRescheduleException:
    """Frees the task's slot for jobs of other tenants."""
    return AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=wait_s))


def spark_job(
    settings: Settings,
    task_id: str,
    steps: Sequence[str],
    arguments: Callable[[Context, Any], Sequence[str]] = lambda context, jinja_env: (),
    pool: str = WRITER_POOL,
    **options: Any,
) -> SparkJob:
    """A task that runs `steps` in order in one JVM, with the run's id and the result of `arguments` for the run."""

    def application_args(context: Context, jinja_env: Any) -> list[str]:
        # A list of values, not a template: quotes, commas and braces in a group or a path stay unchanged.
        return [*steps, f"--run-id={context['run_id']}", *arguments(context, jinja_env)]

    return SparkJob(
        task_id=task_id,
        application=str(PROJECT_ROOT / "spark_jobs" / "main.py"),
        application_args=application_args,  # type: ignore[arg-type]  # a templated field takes a callable too
        conf=spark_conf(settings) if _EMBEDDING_STEPS.isdisjoint(steps) else embedding_conf(settings),
        name=f"lakehop-{task_id}",
        pool=pool,
        **{"execution_timeout": timedelta(seconds=settings.spark_task_timeout_s)} | options,
    )


def ingest_jobs(settings: Settings, arguments: Callable[[Context, Any], Sequence[str]]) -> SparkJob:
    """The two tasks of an ingest in their order, for every DAG that ingests documents."""
    load_documents = spark_job(settings, "load_documents", ("parse_documents", "chunk_documents"), arguments)
    build_index = spark_job(settings, "build_index", ("embed_chunks", "sync_index"), arguments, outlets=[SEARCH_INDEX])
    load_documents >> build_index
    return build_index
