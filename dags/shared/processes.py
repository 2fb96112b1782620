"""Running `lakehop` as a process of a task: DAGs import no agent, and a crash of one takes no worker with it."""

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
    """The command's JSON document; what it says meanwhile is in the task's log.

    `AirflowFailException`, which is not retried, when it calls its usage wrong (exit code 2), `AirflowException`
    when it fails. A task that is stopped, e.g. by its timeout, stops the process.
    """
    command = [str(Path(sys.executable).parent / "lakehop"), *arguments, "--json"]
    said = ""
    with subprocess.Popen(
        command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stderr or ():  # its one document on stdout is far smaller than a pipe's buffer
                said = line.strip() or said
                log.info("%s", line.rstrip())
            document = process.stdout.read() if process.stdout else ""
        except BaseException:
            process.terminate()
            raise
    if process.returncode == 2:
        raise AirflowFailException(f"wrong input, so not tried again: {said}")
    if process.returncode:
        raise AirflowException(f"lakehop {arguments[0]} failed ({process.returncode}): {said}")
    result: dict[str, Any] = json.loads(document)
    return result
