"""The local stack's Airflow: its processes and their environment.

Environment variables hold the whole configuration; no `airflow.cfg` is edited: LocalExecutor, SQLite or the database in
`airflow_database`, loopback only, our `dags/` folder, one user with a generated password under home with mode 0600.
Three processes run, as in any Airflow: API server, scheduler, DAG processor. No triggerer, because no DAG defers.
"""

import base64
import hashlib
import json
import secrets
import subprocess
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.stack.processes import Process, child_environment, program
from infra.stack.secret_files import write_secret
from lakehouse.errors import Unavailable
from lakehouse.settings import MODEL_POOL, PROJECT_ROOT, WRITER_POOL, Settings

PART = "airflow"
PROCESSES = ("api-server", "scheduler", "dag-processor")

# Measured on 2 cores.
TUNING = {
    # Airflow forks its workers at the start: the default of 32 takes 5.5 GB.
    "CORE__PARALLELISM": "4",
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "API__WORKERS": "1",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
}


def pools(settings: Settings) -> dict[str, dict[str, Any]]:
    """Name, slots and description of each pool.

    Several jobs write at once only in the kept driver: a slot elsewhere is a JVM, and on a bucket only the writers of
    one JVM are safe from each other, but other writers of ours are in none. One evaluation fills the model's time
    beside users' tasks.
    """
    kept = settings.spark_keep_driver and settings.spark_is_local and "://" not in settings.warehouse_root
    writers = "Jobs that write documents, chunks and the search index; of one tenant one at a time."
    return {
        WRITER_POOL: {"slots": 3 if kept else 1, "description": writers},
        MODEL_POOL: {"slots": 1, "description": "Tasks that ask the model many questions; one at a time."},
    }


class LocalAirflow:
    """The local Airflow of `settings`; builds nothing until a method is called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._home = settings.home.resolve() / "airflow"

    def prepare(self) -> None:
        """Write the password file; the first time, also migrate the database and create the pools (15 s).

        Later calls do not touch the pools, so an operator can change their slots.
        """
        write_secret(self._password_file, json.dumps({self._settings.airflow_user: self._secrets["password"]}))
        stamp, current = (
            self._home / "prepared",
            f"{_airflow_version()} {_digest(self._database)} {_digest(pools(self._settings))}",
        )
        if stamp.exists() and stamp.read_text() == current:
            return
        self._run("its metadata database could not be migrated", "db", "migrate")
        file = self._home / "pools.json"
        file.write_text(json.dumps(pools(self._settings)))
        self._run("its pools could not be created", "pools", "import", str(file))
        stamp.write_text(current)

    def _run(self, failure: str, *arguments: str) -> None:
        """Run an Airflow command. Raises Unavailable with the end of its output when it fails."""
        completed = subprocess.run(
            [program("airflow"), *arguments],
            env=self.environment,
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if completed.returncode:
            secret = self._settings.airflow_database.get_secret_value()
            tail = "\n".join(completed.stdout.splitlines()[-15:])
            tail = tail.replace(secret, "LAKEHOP_AIRFLOW_DATABASE") if secret else tail
            raise Unavailable(PART, f"Airflow cannot start: {failure}. Check LAKEHOP_AIRFLOW_DATABASE:\n{tail}")

    def processes(self) -> list[Process]:
        """The API server first, because the other processes call it."""
        arguments = {
            "api-server": ["api-server"],
            # The API server reads task logs from disk; the scheduler's log server would listen on all interfaces.
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
        }
        return [
            Process(
                name=f"{PART}-{name}",
                command=(program("airflow"), *arguments[name]),
                environment=self.environment,
                folder=PROJECT_ROOT,
                port=self._port if name == "api-server" else None,
                setting="LAKEHOP_AIRFLOW_URL",
            )
            for name in PROCESSES
        ]

    @cached_property
    def environment(self) -> dict[str, str]:
        """Environment of all Airflow processes; Spark jobs inherit it."""
        settings, url = self._settings, self._settings.airflow_url
        spark = {"conn_type": "spark", "host": settings.spark_master}
        airflow = {
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
            "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "CORE__FERNET_KEY": self._secrets["fernet_key"],
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{settings.airflow_user}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._password_file),
            "API__HOST": "127.0.0.1",
            "API__PORT": str(self._port),
            "DATABASE__SQL_ALCHEMY_CONN": self._database,
            "API__BASE_URL": url,
            "API__SECRET_KEY": self._secrets["api_secret_key"],
            "API_AUTH__JWT_SECRET": self._secrets["jwt_secret"],
            **TUNING,
        }
        return {
            **child_environment(settings),
            **{f"AIRFLOW__{name}": value for name, value in airflow.items()},
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(spark),
            "PYTHONPATH": str(PROJECT_ROOT),
        }

    @property
    def _port(self) -> int:
        return urlsplit(self._settings.airflow_url).port or 80

    @property
    def _database(self) -> str:
        """SQLAlchemy URL of the metadata database."""
        # SQLite has one writer at a time; on a busy machine a wait exceeded the default of 5 s. Not much longer:
        # the API server can lock itself out, and then everything stops until its wait ends.
        local = f"sqlite:///{self._home / 'airflow.sqlite'}?timeout=10"
        return self._settings.airflow_database.get_secret_value() or local

    @property
    def _password_file(self) -> Path:
        return self._home / "passwords.json"

    @cached_property
    def _secrets(self) -> dict[str, str]:
        """Keys that the processes share; generated once a home, never logged."""
        path = secrets_path(self._settings)
        if not path.exists():
            generated = {
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "jwt_secret": secrets.token_urlsafe(48),
                "api_secret_key": secrets.token_urlsafe(48),
                "password": secrets.token_urlsafe(18),
            }
            write_secret(path, json.dumps(generated))
        stored: dict[str, str] = json.loads(path.read_text())
        configured = self._settings.airflow_password.get_secret_value()
        return stored | ({"password": configured} if configured else {})


def secrets_path(settings: Settings) -> Path:
    """File of the generated keys and password, as JSON."""
    return settings.home / "airflow" / "secrets.json"


def _airflow_version() -> str:
    return version("apache-airflow-core")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
