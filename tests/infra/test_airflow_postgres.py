"""The local Airflow on a real Postgres of this machine: it migrates, serves, and runs a DAG, as on SQLite."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from infra.airflow import LocalAirflow
from infra.airflow_client import AirflowClient
from infra.stack import Stack
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

PASSWORD = "pg-secret"


@pytest.fixture(scope="module")
def postgres(free_port: Callable[[], int]) -> Iterator[str]:
    """SQLAlchemy URL of an empty database; its server listens on loopback and goes away after the tests."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb") or ""]
    if not programs[-1]:
        pytest.fail("this machine has no Postgres: apt-get install postgresql (or put initdb and postgres on PATH)")
    bin_folder, port = Path(programs[-1]).parent, free_port()
    # It refuses to run as root. A short path, and not pytest's own folder, which is closed to other users.
    as_user = ["runuser", "-u", _unprivileged_user(), "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD)
        if as_user:
            for path in (folder, folder / "password"):
                shutil.chown(path, as_user[2])
        data = str(folder / "data")
        init = [*as_user, bin_folder / "initdb", "-D", data, "-U", "me", "-A", "scram-sha-256", "--no-sync"]
        subprocess.run([*init, f"--pwfile={folder / 'password'}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = [*as_user, bin_folder / "pg_ctl", "-D", data, "-w"]
        subprocess.run([*control, "-o", options, "-l", str(folder / "log"), "start"], cwd=folder, check=True)
        try:
            yield f"postgresql+psycopg2://me:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "fast", "stop"], cwd=folder, check=True)


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
        cursor.execute("select slots from slot_pool where pool in ('lakehouse_writer', 'model_caller')")
        assert cursor.fetchall() == [(1,), (1,)]
    assert not (settings.home / "airflow" / "airflow.sqlite").exists()


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path: Path, postgres: str) -> None:
    wrong = postgres.replace(":" + postgres.rsplit(":", 1)[1], ":1/postgres")

    with pytest.raises(Unavailable, match="LAKEHOP_AIRFLOW_DATABASE") as refused:
        LocalAirflow(Settings(home=tmp_path, airflow_database=wrong)).prepare()

    assert PASSWORD not in str(refused.value)


def _unprivileged_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
