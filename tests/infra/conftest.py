"""Homes and processes of their own for the tests of the stack; whatever a test starts is stopped after it."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.processes import Supervisor

PASSWORD = "pg-secret"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder; every process that bears its mark is stopped at the end."""
    home = tmp_path / "home"
    home.mkdir()
    yield home
    Supervisor(home).stop_all()


@pytest.fixture
def supervisor(home: Path) -> Supervisor:
    return Supervisor(home)


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


def _unprivileged_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
