"""The Spark task runs its job in the kept driver where there is one, else submits it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRescheduleException

from dags.shared import jobs
from lakehouse.errors import Unavailable
from lakehouse.kept_driver import BUSY, BusyError
from lakehouse.settings import Settings

RUN: Any = {"run_id": "run-1"}


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> jobs.SparkJob:
    task = jobs.spark_job(Settings(), "load_documents", ("parse_documents",))
    task.application_args = ["parse_documents", "--run-id=run-1"]
    monkeypatch.setattr(task, "_numbers", lambda run_id: {})
    return task


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    submitted: list[Any] = []
    monkeypatch.setattr(SparkSubmitOperator, "execute", lambda self, context: submitted.append(self.application_args))
    return submitted


def answering(answer: int | Exception | None, *lines: str) -> Callable[..., int | None]:
    def run_there(settings: Settings, arguments: Sequence[str], line: Callable[[str], None]) -> int | None:
        for text in lines:
            line(text)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return run_there


@pytest.mark.parametrize(("answer", "submissions"), [(0, 0), (None, 1)])
def test_a_job_is_submitted_only_where_no_driver_takes_it(
    task: jobs.SparkJob, submitted: list[Any], monkeypatch: pytest.MonkeyPatch, answer: int | None, submissions: int
) -> None:
    monkeypatch.setattr(jobs, "run_there", answering(answer))

    task.execute(RUN)

    assert submitted == [["parse_documents", "--run-id=run-1"]] * submissions


@pytest.mark.parametrize(("code", "is_final"), [(2, True), (1, False)])
def test_a_failure_in_the_kept_driver_is_told_as_one_of_a_submitted_job(
    task: jobs.SparkJob, submitted: list[Any], monkeypatch: pytest.MonkeyPatch, code: int, is_final: bool
) -> None:
    said = "2026-12-01 08:00:00,000 ERROR spark_jobs path '/nope': nothing is there."
    monkeypatch.setattr(jobs, "run_there", answering(code, said))

    with pytest.raises(AirflowException, match="nothing is there") as failure:
        task.execute(RUN)

    assert isinstance(failure.value, AirflowFailException) is is_final
    assert submitted == []


def test_a_driver_that_dies_fails_the_try_and_not_the_task(
    task: jobs.SparkJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "run_there", answering(Unavailable("spark", "the kept Spark driver ended")))

    with pytest.raises(AirflowException, match="the kept Spark driver ended") as failure:
        task.execute(RUN)

    assert not isinstance(failure.value, AirflowFailException)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_tenant_that_has_a_writer_makes_the_task_give_up_its_slot_and_ask_again(
    task: jobs.SparkJob, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    def submit(self: Any, context: Any) -> None:
        raise AirflowException(f"Cannot execute: spark-submit … Error code is: {BUSY}.")

    monkeypatch.setattr(SparkSubmitOperator, "execute", submit)
    monkeypatch.setattr(jobs, "run_there", answering(BusyError(40) if is_kept else None))

    with pytest.raises(AirflowRescheduleException) as again:
        task.execute(RUN)

    expected = datetime.now(UTC) + timedelta(seconds=40 if is_kept else 15)
    assert abs(again.value.reschedule_date - expected) < timedelta(seconds=5)


def test_what_a_run_refused_is_on_its_page_by_kind(task: jobs.SparkJob, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: dict[str, Any] = {}

    class Instance:
        def xcom_push(self, key: str, value: Any) -> None:
            pushed[key] = value

    counts = {"parse_documents": {"documents_seen": 9, "documents_quarantined": 3}}
    kinds = [{"kind": kind} for kind in ("empty text", "encrypted", "encrypted")]
    monkeypatch.setattr(jobs, "run_there", answering(0))
    monkeypatch.setattr(task, "_numbers", lambda run_id: counts)
    monkeypatch.setattr(task, "_rows", lambda path, column, value: kinds)

    task.execute(RUN | {"ti": Instance()})

    assert pushed == {"numbers": counts, "refusals": {"encrypted": 2, "empty text": 1}}
