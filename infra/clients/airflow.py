"""Airflow over its REST API: trigger a DAG, wait for its run, and read why a task failed.

The same calls serve the local Airflow and any other one that `airflow_url` names.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from infra.stack.airflow import secrets_path
from lakehouse.errors import InvalidInput, LakehopError, NotAuthenticated, NotFound, Unavailable
from lakehouse.settings import WRITER_POOL, Settings

POLL_S = 1.0  # each look is work for the machine that runs the job
CALL_TIMEOUT_S = 30.0  # SQLite serves one writer at a time, and a busy machine has kept a call waiting for 8 s
TRIGGER_S = 90.0  # after a first start the DAG processor has yet to read the file
LOG_LINES = 12
OVER = ("success", "failed")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """One finished DAG run: its final state, and the tasks that failed, in order of their end."""

    dag_id: str
    run_id: str
    state: str
    failed_tasks: tuple[str, ...]


class _Busy(Unavailable):
    """Airflow was reached, and did not do in time what it was asked; perhaps it does so later."""


class _Exists(LakehopError):
    """There is a run of that id."""


class AirflowClient:
    """A session with Airflow; its token is fetched by the first call and lasts a day."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = httpx.Client(base_url=settings.airflow_url, timeout=CALL_TIMEOUT_S)
        self._token = ""

    def trigger(self, dag_id: str, run_id: str, params: Mapping[str, Any]) -> None:
        """Start a run; `InvalidInput` when the DAG's schema refuses a parameter, `NotFound` without our pool.

        Tried again while Airflow is busy: its API server, on SQLite, locks itself out when a task starts at the moment
        of the call, and says so by a 500 once its wait for the lock is over.
        """
        self._check_pool()
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(params)}
        deadline, was_busy = time.monotonic() + TRIGGER_S, False
        while True:
            try:
                self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)
                return
            except _Exists:
                if not was_busy:
                    raise
                return  # by the call that was given up
            except (NotFound, _Busy) as error:
                was_busy |= isinstance(error, _Busy)
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)

    def _check_pool(self) -> None:
        """Airflow leaves a task of an unknown pool waiting for ever and says so only in the scheduler's log."""
        try:
            self._call("GET", f"/pools/{WRITER_POOL}")
        except NotFound:
            raise NotFound(
                f"airflow at {self._settings.airflow_url} has no pool {WRITER_POOL!r}, in which its tasks run. Create "
                f"it: airflow pools set {WRITER_POOL} 1 'One writer of the search index'"
            ) from None

    def wait(self, dag_id: str, run_id: str, timeout_s: float, progress: Progress = lambda line: None) -> Run:
        """Follow a run to its end; `progress` gets a line at each change of a task. `Unavailable` past `timeout_s`."""
        path, seen = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}", dict[str, str]()
        deadline = time.monotonic() + timeout_s
        while True:
            run_state = self._call("GET", path)["state"]
            tasks = self._call("GET", f"{path}/taskInstances")["task_instances"]
            for task in tasks:
                state = task["state"] or "waiting"
                if state != seen.get(task["task_id"], "waiting"):
                    progress(f"{task['task_id']}: {state.replace('_', ' ')}")
                seen[task["task_id"]] = state
            if run_state in OVER:
                failed = sorted((t["end_date"] or "", t["task_id"]) for t in tasks if t["state"] == "failed")
                return Run(dag_id, run_id, run_state, tuple(task_id for _, task_id in failed))
            if time.monotonic() > deadline:
                raise Unavailable(
                    "airflow",
                    f"run {run_id!r} of {dag_id!r} is still {run_state} after {timeout_s:.0f} s and goes on. Follow it "
                    f"at {self.run_url(dag_id, run_id)}, or raise LAKEHOP_INGEST_TIMEOUT_S.",
                )
            time.sleep(POLL_S)

    def failure(self, run: Run) -> str:
        """Why the run failed: the task, the last lines of its log, and where to read on."""
        where = f"Read on, and clear the task to re-run it, at {self.run_url(run.dag_id, run.run_id)}"
        if not run.failed_tasks:
            return f"run {run.run_id!r} failed. {where}"
        task_id = run.failed_tasks[-1]
        path = f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task_id}"
        attempt = self._call("GET", path)["try_number"]
        lines = [entry.get("event", "") for entry in self._call("GET", f"{path}/logs/{attempt}")["content"]]
        shown = "\n".join(f"  {line}" for line in telling_lines(lines))
        tries = "1 try" if attempt == 1 else f"{attempt} tries"
        return f"task {task_id!r} of run {run.run_id!r} failed after {tries}:\n{shown}\n{where}"

    def run_url(self, dag_id: str, run_id: str) -> str:
        """The run's page in Airflow's UI."""
        return f"{self._settings.airflow_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"

    def _call(self, method: str, path: str, json: Any = None) -> Any:
        try:
            self._token = self._token or self._fetch_token()
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
            answer = self._http.request(method, f"/api/v2{path}", json=json, headers=headers)
        except httpx.HTTPError as error:
            kind = _Busy if isinstance(error, httpx.ReadTimeout) else Unavailable
            raise kind(
                "airflow",
                f"airflow at {self._settings.airflow_url} does not answer ({error}). "
                "`lakehop status` shows the parts, `lakehop up` starts them.",
            ) from None
        if answer.is_success:
            return answer.json()
        raise _error(answer)

    def _fetch_token(self) -> str:
        user = self._settings.airflow_user
        answer = self._http.post("/auth/token", json={"username": user, "password": self._password()})
        if not answer.is_success:
            raise NotAuthenticated(
                f"airflow at {self._settings.airflow_url} refuses user {user!r} ({answer.status_code}). "
                "Set LAKEHOP_AIRFLOW_USER and LAKEHOP_AIRFLOW_PASSWORD."
            )
        return str(answer.json()["access_token"])

    def _password(self) -> str:
        configured = self._settings.airflow_password.get_secret_value()
        if configured:
            return configured
        try:
            return str(json.loads(secrets_path(self._settings).read_text())["password"])
        except OSError:
            raise NotAuthenticated(
                f"no password for airflow at {self._settings.airflow_url}: set LAKEHOP_AIRFLOW_PASSWORD, or run "
                "`lakehop up`, which starts a local Airflow and makes one."
            ) from None


def telling_lines(log: list[str]) -> list[str]:
    """The last lines of a task's log that say something of the job: Airflow's own frame and stack traces left out."""
    end = next((at for at, line in enumerate(log) if line.startswith("Task failed with exception")), len(log))
    noise = ("::group::", "::endgroup::", "\tat ", "WARNING: ", "Using Spark's default log4j")
    return [line.rstrip() for line in log[:end] if line.strip() and not line.startswith(noise)][-LOG_LINES:]


def _error(answer: httpx.Response) -> LakehopError:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError):
        detail = answer.text[:300]
    text = f"airflow refused ({answer.status_code}): {detail if isinstance(detail, str) else json.dumps(detail)}"
    if answer.status_code >= 500:
        return _Busy("airflow", text)
    by_status = {400: InvalidInput, 404: NotFound, 409: _Exists, 422: InvalidInput}
    return by_status.get(answer.status_code, LakehopError)(text)
