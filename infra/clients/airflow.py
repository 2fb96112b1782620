"""Airflow over its REST API: trigger a DAG, wait for the run to end, read why a task failed.

It works with the local Airflow and with any other that `airflow_url` names.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    retry_if_result,
    stop_after_delay,
    wait_fixed,
)

from infra.stack.airflow import secrets_path
from lakehouse.errors import InvalidInput, LakehopError, NotAuthenticated, NotFound, Unavailable
from lakehouse.settings import WRITER_POOL, Settings

POLL_S = 1.0  # each poll takes time from the machine that runs the job
CALL_TIMEOUT_S = 30.0  # SQLite has one writer at a time; a call has waited 8 s for it on a busy machine
TRIGGER_S = 90.0  # after a first start the DAG processor has not read the file yet
_ERROR = " ERROR spark_jobs "  # before the message, in the log of a job
LOG_LINES = 12
FINAL_STATES = ("success", "failed")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class DagRun:
    """A DAG run: its state, and its failed tasks in order of their end."""

    dag_id: str
    run_id: str
    state: str
    failed_tasks: tuple[str, ...]


class _Busy(Unavailable):
    """Airflow was reached and did not finish the call in time; the call may still take effect."""


class _RunExists(LakehopError):
    """A run with this id exists already."""


class AirflowClient:
    """A session with Airflow. The first call fetches a token, which lasts a day."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = httpx.Client(base_url=settings.airflow_url, timeout=CALL_TIMEOUT_S)
        self._token = ""

    def trigger(self, dag_id: str, run_id: str, params: Mapping[str, Any]) -> None:
        """Start a run. Raises InvalidInput if the DAG's schema refuses a parameter, NotFound without our pool.

        Retried while Airflow is busy: on SQLite its API server can lock itself out when a task starts during the call,
        and then answers 500 after its wait for the lock.
        """
        self._check_pool()
        was_busy = False

        def note_busy(attempt: RetryCallState) -> None:
            nonlocal was_busy
            was_busy |= attempt.outcome is not None and isinstance(attempt.outcome.exception(), _Busy)

        retrying = Retrying(
            retry=retry_if_exception_type((NotFound, _Busy)),
            wait=wait_fixed(POLL_S),
            stop=stop_after_delay(TRIGGER_S),
            before_sleep=note_busy,
            reraise=True,
        )
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(params)}
        try:
            retrying(self._call, "POST", f"/dags/{dag_id}/dagRuns", json=body)
        except _RunExists:
            if not was_busy:  # else an attempt that seemed to fail created the run
                raise

    def _check_pool(self) -> None:
        """Without the pool a task would wait forever, and only the scheduler's log would say why."""
        try:
            self._call("GET", f"/pools/{WRITER_POOL}")
        except NotFound:
            raise NotFound(
                f"airflow at {self._settings.airflow_url} has no pool {WRITER_POOL!r}, in which its tasks run. Create "
                f"it: airflow pools set {WRITER_POOL} 1 'One writer of the search index'"
            ) from None

    def wait(self, dag_id: str, run_id: str, timeout_s: float, progress: Progress = lambda line: None) -> DagRun:
        """Poll a run until it ends, also while Airflow is too busy to answer; `progress` gets a line when a task
        changes its state.

        Raises Unavailable after `timeout_s`; the run goes on.
        """

        def give_up(attempt: RetryCallState) -> NoReturn:
            outcome = attempt.outcome
            state = outcome.result().state if outcome and not outcome.failed else "unknown"
            raise Unavailable(
                "airflow",
                f"run {run_id!r} of {dag_id!r} is still {state} after {timeout_s:.0f} s and goes on. Follow it "
                f"at {self.run_url(dag_id, run_id)}, or raise LAKEHOP_INGEST_TIMEOUT_S.",
            )

        polling = Retrying(
            retry=retry_if_result(lambda run: run.state not in FINAL_STATES) | retry_if_exception_type(_Busy),
            wait=wait_fixed(POLL_S),
            stop=stop_after_delay(timeout_s),
            retry_error_callback=give_up,
        )
        return polling(self._poll, dag_id, run_id, {}, progress)

    def _poll(self, dag_id: str, run_id: str, task_states: dict[str, str], progress: Progress) -> DagRun:
        """The run as it is now; reports tasks whose state is not in `task_states`, and updates that."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
        run_state = self._call("GET", path)["state"]
        tasks = self._call("GET", f"{path}/taskInstances")["task_instances"]
        for task in tasks:
            state = task["state"] or "waiting"
            if state != task_states.get(task["task_id"], "waiting"):
                progress(f"{task['task_id']}: {state.replace('_', ' ')}")
            task_states[task["task_id"]] = state
        failed = sorted((task["end_date"] or "", task["task_id"]) for task in tasks if task["state"] == "failed")
        return DagRun(dag_id, run_id, run_state, tuple(task_id for _, task_id in failed))

    def failure(self, run: DagRun) -> str:
        """Why the run failed: the job's error, the task, the last lines of its log, and the address of the full log."""
        where = f"Full log, and `Clear` to run the task again: {self.run_url(run.dag_id, run.run_id)}"
        if not run.failed_tasks:
            return f"run {run.run_id!r} failed. {where}"
        task_id = run.failed_tasks[-1]
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task_id}"
        attempt = self._call("GET", path)["try_number"]
        lines = [entry.get("event", "") for entry in self._call("GET", f"{path}/logs/{attempt}")["content"]]
        told = job_lines(lines)
        excerpt = "\n".join(f"  {line}" for line in told)
        tries = "1 try" if attempt == 1 else f"{attempt} tries"
        return f"{job_error(told)}task {task_id!r} of run {run.run_id!r} failed after {tries}:\n{excerpt}\n{where}"

    def run_url(self, dag_id: str, run_id: str) -> str:
        """The run's page in Airflow's UI."""
        return f"{self._settings.airflow_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"

    def _call(self, method: str, path: str, json: Any = None) -> Any:
        try:
            self._token = self._token or self._fetch_token()
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            response = self._http.request(method, f"/api/v2{path}", json=json, headers=headers)
        except httpx.HTTPError as error:
            error_class = _Busy if isinstance(error, httpx.ReadTimeout) else Unavailable
            raise error_class(
                "airflow",
                f"airflow at {self._settings.airflow_url} does not answer ({error}). "
                "`lakehop status` shows the parts, `lakehop up` starts them.",
            ) from None
        if response.is_success:
            return response.json()
        raise _error(response)

    def _fetch_token(self) -> str:
        user = self._settings.airflow_user
        response = self._http.post("/auth/token", json={"username": user, "password": self._password()})
        if not response.is_success:
            raise NotAuthenticated(
                f"airflow at {self._settings.airflow_url} refuses user {user!r} ({response.status_code}). "
                "Set LAKEHOP_AIRFLOW_USER and LAKEHOP_AIRFLOW_PASSWORD."
            )
        return str(response.json()["access_token"])

    def _password(self) -> str:
        configured = self._settings.airflow_password.get_secret_value()
        if configured:
            return configured
        try:
            return str(json.loads(secrets_path(self._settings).read_text())["password"])
        except OSError:
            raise NotAuthenticated(
                f"no password for airflow at {self._settings.airflow_url}: set LAKEHOP_AIRFLOW_PASSWORD, or run "
                "`lakehop up`, which starts a local Airflow and creates a password."
            ) from None


def job_lines(log: list[str]) -> list[str]:
    """The job's last LOG_LINES lines of a task's log, without Airflow's own lines and stack traces."""
    end = next((at for at, line in enumerate(log) if line.startswith("Task failed with exception")), len(log))
    noise = ("::group::", "::endgroup::", "\tat ", "WARNING: ", "Using Spark's default log4j")
    return [line.rstrip() for line in log[:end] if line.strip() and not line.startswith(noise)][-LOG_LINES:]


def job_error(lines: list[str]) -> str:
    """The last error that the job logged, as a line of its own; "" where it logged none, as when it was killed."""
    errors = [message for line in lines if (message := line.partition(_ERROR)[2])]
    return f"{errors[-1]}\n" if errors else ""


def _error(response: httpx.Response) -> LakehopError:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError):
        detail = response.text[:300]
    text = f"airflow refused ({response.status_code}): {detail if isinstance(detail, str) else json.dumps(detail)}"
    if response.status_code >= 500:
        return _Busy("airflow", text)
    by_status = {400: InvalidInput, 404: NotFound, 409: _RunExists, 422: InvalidInput}
    return by_status.get(response.status_code, LakehopError)(text)
