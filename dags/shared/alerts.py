"""Telling people of a failure: one message that says what failed, for whom, why, and what to do.

It is in the task's log, and is posted to `alert_webhook_url` where that is set, as `{"text": …}`, which Slack,
Mattermost and Teams workflows read. A task that is to be tried again tells nobody.
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
SHOWN_ARGUMENTS = ("tenant", "source", "path", "program", "questions")
_SAYS_ERROR = re.compile(r" ERROR |^[\w.]*(Error|Exception)\b|^Caused by: ")

log = logging.getLogger("airflow.task")


def tell_of_failure(context: Context) -> None:
    """Log why the task failed for good, and post it to the webhook; a webhook that fails is logged and no more."""
    text = failure_text(context)
    log.error("%s", text)
    url = load_settings().alert_webhook_url.get_secret_value()
    if not url:
        return
    # not httpx, which logs the address, and that is a secret; nor may an error's text be logged, which may hold it
    headers = {"Content-Type": "application/json"}
    try:
        request = Request(url, json.dumps({"text": text}).encode(), headers)  # noqa: S310  the operator's own setting
        urlopen(request, timeout=POST_TIMEOUT_S).close()  # noqa: S310
    except (OSError, ValueError, HTTPException) as error:
        log.error("LAKEHOP_ALERT_WEBHOOK_URL: the message was not delivered (%s).", type(error).__name__)


def failure_text(context: Context) -> str:
    """The message: what failed, in which run, about what, the job's own last error, what to do and where."""
    ti = context["ti"]
    tries = "1 try" if ti.try_number == 1 else f"{ti.try_number} tries"
    about = job_arguments(context["task"]) or dict(context.get("params") or {})
    shown = " ".join(f"{name}={about[name]!r}" for name in SHOWN_ARGUMENTS if about.get(name))
    page = f"{load_settings().airflow_url}/dags/{quote(ti.dag_id)}/runs/{quote(ti.run_id, safe='')}"
    lines = (
        f"Lakehop: {ti.dag_id}.{ti.task_id} failed after {tries}, run {ti.run_id!r}",
        shown,
        last_error(context.get("exception")),
        f"Repair the cause and clear the task, which re-runs it and what follows: {page}",
    )
    return "\n".join(line for line in lines if line)


def last_error(error: Any) -> str:
    """The last line of the job's output that says what went wrong; the exception's own last line where none does."""
    if error is None:
        return "The task's process was lost: killed, out of memory, or the machine went down. Its log ends there."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if _SAYS_ERROR.search(line)] or lines or [type(error).__name__]
    return told[-1].partition(" ERROR ")[2] or told[-1]


def job_arguments(task: Any) -> dict[str, Any]:
    """What a Spark job was called with, by name; nothing for other tasks, and before the run has filled it in."""
    given = getattr(task, "application_args", None)
    if not isinstance(given, list):
        return {}
    named: dict[str, Any] = {}
    for name, equals, value in (str(argument).removeprefix("--").partition("=") for argument in given):
        if equals:
            named[name] = f"{named[name]}, {value}" if name in named else value
    return named
