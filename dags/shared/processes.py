"""Run `lakehop` as a process of a task: DAGs import no agent, and a crash does not end the Airflow worker."""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from lakehouse.settings import PROJECT_ROOT

log = logging.getLogger("airflow.task")


def run_lakehop(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command and return its JSON document; its stderr goes to the task's log.

    Raises `AirflowFailException`, which is not retried, for wrong usage (exit code 2), else `AirflowException` for a
    failure. A task that is stopped, e.g. by its timeout, stops the process.
    """
    command = [str(Path(sys.executable).parent / "lakehop"), *arguments, "--json"]
    last_line = ""
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr or ():  # the document on stdout is far smaller than the buffer of a pipe
                last_line = line.strip() or last_line
                log.info("%s", line.rstrip())
            document = process.stdout.read() if process.stdout else ""
        except BaseException:
            process.terminate()
            raise
    if process.returncode == 2:
        raise AirflowFailException(f"wrong input, so not tried again: {last_line}")
    if process.returncode:
        raise AirflowException(f"lakehop {arguments[0]} failed ({process.returncode}): {last_line}")
    result: dict[str, Any] = json.loads(document)
    return result
