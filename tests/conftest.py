"""What every test shares: no test reads the developer's own settings, and none talks to a model hub."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.databases import database_url
from tests.ports import free_port

__all__ = ["database_url"]  # a fixture

_MANUALS = os.environ.get("LAKEHOP_TEST_MANUALS", "")
POSTGRES_PASSWORD = "pg-secret"
for name in [name for name in os.environ if name.startswith("LAKEHOP_")]:
    del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("lakehop", deadline=None)  # a shared machine's pauses are no failure
settings.load_profile("lakehop")


@pytest.fixture(scope="session", name="free_port")
def _free_port() -> Callable[[], int]:
    """Finds a port on loopback that nothing listens on now."""
    return free_port


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """SQLAlchemy URL of an empty database; its server listens on loopback and goes away after the tests."""
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or [shutil.which("initdb") or ""]
    if not programs[-1]:
        pytest.fail("this machine has no Postgres: apt-get install postgresql (or put initdb and postgres on PATH)")
    bin_folder, port = Path(programs[-1]).parent, free_port()
    # It refuses to run as root. A short path, and not pytest's own folder, which is closed to other users.
    as_user = ["runuser", "-u", _unprivileged_user(), "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder = Path(name)
        (folder / "password").write_text(POSTGRES_PASSWORD)
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
            yield f"postgresql+psycopg2://me:{POSTGRES_PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*control, "-m", "fast", "stop"], cwd=folder, check=True)


@pytest.fixture(scope="session")
def manuals_folder() -> Path:
    """The folder that holds the corpora of tests/benchmarks/manual_questions.jsonl, which are not in the project."""
    if not _MANUALS:
        pytest.skip("needs the manuals. Set LAKEHOP_TEST_MANUALS to the folder that holds their folders.")
    return Path(_MANUALS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold a slow test first, the whole stack before all: whichever is begun last is waited for alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: str(item.path) if item.path in slow else "", reverse=True)


def _unprivileged_user() -> str:
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
