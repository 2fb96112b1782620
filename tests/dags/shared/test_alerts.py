"""What people are told when a task has failed for good, and that telling them can never fail a task itself."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dags.shared.alerts import failure_text, last_error, tell_of_failure

OUTPUT = """Cannot execute: spark-submit main.py. Error code is: 1.
Last spark-submit output:
2026-11-21 08:00:00,000 INFO spark_jobs parse_documents: documents_seen=2 seconds=1.0
2026-11-21 08:00:01,000 ERROR spark_jobs milvus at http://127.0.0.1:19530 does not answer.
some line of the shutdown"""


class Webhook(HTTPServer):
    """A real receiver; `status` is what it answers, `bodies` what it got."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receive)
        self.bodies: list[Any] = []


class Receive(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    server = Webhook()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("LAKEHOP_ALERT_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/secret-path")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("LAKEHOP_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOP_AIRFLOW_URL", "http://airflow:8080")
    arguments = ["embed_chunks", "--run-id=r 1", "--tenant=acme", "--source=wiki", "--path=/a", "--path=/b=c"]
    return {
        "ti": SimpleNamespace(dag_id="ingest", task_id="build_index", run_id="r 1", try_number=3),
        "task": SimpleNamespace(application_args=arguments),
        "exception": RuntimeError(OUTPUT),
    }


def test_the_message_says_what_failed_for_whom_why_and_what_to_do(context: Any) -> None:
    assert failure_text(context).splitlines() == [
        "Lakehop: ingest.build_index failed after 3 tries, run 'r 1'",
        "tenant='acme' source='wiki' path='/a, /b=c'",
        "spark_jobs milvus at http://127.0.0.1:19530 does not answer.",
        "Repair the cause and clear the task, which re-runs it and what follows: "
        "http://airflow:8080/dags/ingest/runs/r%201",
    ]


def test_a_task_whose_process_was_lost_is_told_of_with_its_parameters(context: Any) -> None:
    context |= {"task": SimpleNamespace(application_args=list), "exception": None, "params": {"tenant": "acme"}}

    assert "tenant='acme'\nThe task's process was lost" in failure_text(context)


def test_the_webhook_gets_the_message_once(context: Any, webhook: Webhook) -> None:
    tell_of_failure(context)

    assert webhook.bodies == [{"text": failure_text(context)}]


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/secret-path", "no url at all"])
def test_without_a_working_webhook_the_message_is_in_the_log_and_the_address_is_not(
    context: Any, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LAKEHOP_ALERT_WEBHOOK_URL", url)

    with caplog.at_level(logging.DEBUG):
        tell_of_failure(context)

    assert caplog.messages[0] == failure_text(context)
    assert "secret-path" not in caplog.text


def test_a_webhook_that_refuses_is_logged(context: Any, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    webhook.status = 500

    tell_of_failure(context)

    assert "LAKEHOP_ALERT_WEBHOOK_URL: the message was not delivered (HTTPError)." in caplog.messages


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError(OUTPUT), "spark_jobs milvus at http://127.0.0.1:19530 does not answer."),
        (RuntimeError("Traceback\nValueError: bad\nbye"), "ValueError: bad"),
        (RuntimeError("killed"), "killed"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_the_last_error_is_the_jobs_own(error: Exception, line: str) -> None:
    assert last_error(error) == line
