"""The local Airflow on a real Postgres of this machine: it migrates, serves, and runs a DAG, as on SQLite."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from infra.clients.airflow import AirflowClient
from infra.stack.airflow import LocalAirflow
from infra.stack.lifecycle import Stack
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings
from tests.conftest import POSTGRES_PASSWORD

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int], postgres: str) -> Settings:
    return Settings(
        home=tmp_path_factory.mktemp("airflow"),
        local_parts="airflow",
        airflow_url=f"http://127.0.0.1:{free_port()}",
        airflow_database=postgres,
    )


@pytest.fixture(scope="module")
def stack(settings: Settings) -> Iterator[Stack]:
    stack = Stack(settings, print)
    try:
        stack.ensure(["airflow"])
        stack.wait_for("airflow")
        yield stack
    finally:
        stack.down()


def test_a_dag_runs_to_its_end_and_the_history_is_in_postgres(stack: Stack, settings: Settings, postgres: str) -> None:
    client = AirflowClient(settings)
    client.trigger("load_costs", "on-postgres", {})

    run = client.wait("load_costs", "on-postgres", timeout_s=120)

    assert run.state == "success"  # its task was skipped: nothing is spooled
    with psycopg2.connect(postgres.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
        cursor.execute("select state from task_instance where run_id = 'on-postgres'")
        assert cursor.fetchall() == [("skipped",)]
        cursor.execute("select slots from slot_pool where pool in ('lakehouse_writer', 'model_caller') order by pool")
        assert cursor.fetchall() == [(3,), (1,)]
    assert not (settings.home / "airflow" / "airflow.sqlite").exists()


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path, postgres: str) -> None:
    wrong = postgres.replace(":" + postgres.rsplit(":", 1)[1], ":1/postgres")

    with pytest.raises(Unavailable, match="LAKEHOP_AIRFLOW_DATABASE") as refused:
        LocalAirflow(Settings(home=tmp_path, airflow_database=wrong)).prepare()

    assert POSTGRES_PASSWORD not in str(refused.value)
