"""The message after a failure: the task, its arguments, the error, and what to do.

It is written to the task's log, and posted to `alert_webhook_url` if that is set, as `{"text": …}`, which Slack,
Mattermost and Teams workflows read. A task that will be retried sends no message.
"""

import json
import logging
import re
from http.client import HTTPException
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

from airflow.sdk import Context

from lakehouse.settings import load_settings

POST_TIMEOUT_S = 10.0
NAMED_ARGUMENTS = ("tenant", "source", "path", "program", "questions")
_NAMES_ERROR = re.compile(r" ERROR |^[\w.]*(Error|Exception)\b|^Caused by: ")

log = logging.getLogger("airflow.task")


def tell_of_failure(context: Context) -> None:
    """Log the final failure of a task and post it to the webhook. A failing webhook is only logged."""
    text = failure_text(context)
    log.error("%s", text)
    url = load_settings().alert_webhook_url.get_secret_value()
    if not url:
        return
    # Not httpx, which logs the address, a secret. The text of an error may hold the address too, so log only its class.
    headers = {"Content-Type": "application/json"}
    try:
        request = Request(url, json.dumps({"text": text}).encode(), headers)  # noqa: S310  the operator's own setting
        urlopen(request, timeout=POST_TIMEOUT_S).close()  # noqa: S310
    except (OSError, ValueError, HTTPException) as error:
        log.error("LAKEHOP_ALERT_WEBHOOK_URL: the message was not delivered (%s).", type(error).__name__)


def failure_text(context: Context) -> str:
    """The message: task, run, arguments, the job's last error, what to do, and a link."""
    ti = context["ti"]
    tries = "1 try" if ti.try_number == 1 else f"{ti.try_number} tries"
    arguments = job_arguments(context["task"]) or dict(context.get("params") or {})
    subject = " ".join(f"{name}={arguments[name]!r}" for name in NAMED_ARGUMENTS if arguments.get(name))
    page = f"{load_settings().airflow_url}/dags/{quote(ti.dag_id)}/runs/{quote(ti.run_id, safe='')}"
    lines = (
        f"Lakehop: {ti.dag_id}.{ti.task_id} failed after {tries}, run {ti.run_id!r}",
        subject,
        last_error(context.get("exception")),
        f"Repair the cause and clear the task, which re-runs it and what follows: {page}",
    )
    return "\n".join(line for line in lines if line)


def last_error(error: Any) -> str:
    """The last line of the job's output that names an error, else the last line of the exception."""
    if error is None:
        return "The task's process was lost: killed, out of memory, or the machine went down. Its log ends there."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    errors = [line for line in lines if _NAMES_ERROR.search(line)] or lines or [type(error).__name__]
    return errors[-1].partition(" ERROR ")[2] or errors[-1]


def job_arguments(task: Any) -> dict[str, Any]:
    """The arguments of a Spark job by name; empty for other tasks, and before the run has rendered them."""
    given = getattr(task, "application_args", None)
    if not isinstance(given, list):
        return {}
    named: dict[str, Any] = {}
    for name, equals, value in (str(argument).removeprefix("--").partition("=") for argument in given):
        if equals:
            named[name] = f"{named[name]}, {value}" if name in named else value
    return named
