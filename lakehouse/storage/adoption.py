"""Takes over the SQLite files of the previous release, each once: `tasks.sqlite` and `ledger.sqlite` under home.

`tasks.sqlite` becomes the default database itself. The rows of `ledger.sqlite` are copied into the database, and the
file stays as `ledger.sqlite.adopted`. A process that dies in between leaves nothing half done: the next one goes on.
"""

import contextlib
import logging
import secrets
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from lakehouse.errors import SettingsError
from lakehouse.storage.relational_tables import (
    ADOPTED_FILES,
    KEYS,
    RESERVATIONS,
    SETTLED,
    STORED_ANSWERS,
    insert_into,
)

ADOPTED_SUFFIX = ".adopted"
# A command line of the previous release holds a file for milliseconds, its gateway for as long as it runs.
_IN_USE_TIMEOUT_S = 5.0

log = logging.getLogger("lakehop.database")


def adopt_tasks_file(home: Path, database_file: Path | None) -> None:
    """Rename `tasks.sqlite` to the database's file. `database_file`: None where the database is not the default one."""
    earlier = home / "tasks.sqlite"
    if not earlier.exists() or earlier == database_file:
        return
    if database_file is None or database_file.exists():
        log.warning("%s is not read: its durable tasks cannot be moved into a database that exists", earlier)
        return
    _end_write_ahead_log(earlier)
    earlier.chmod(0o600)
    earlier.rename(database_file)


def copy_ledger_file(home: Path, connection: sa.Connection) -> None:
    """Copy the rows of `ledger.sqlite` in the connection's transaction, unless an earlier transaction did."""
    file = home / "ledger.sqlite"
    if not file.exists():
        return
    _end_write_ahead_log(file)
    file_id = _file_id(file)
    adopt = insert_into(ADOPTED_FILES, connection.dialect.name).on_conflict_do_nothing()
    row = {"file_id": file_id, "adopted_at": datetime.now(UTC).isoformat()}
    if not connection.execute(adopt.returning(ADOPTED_FILES.c.file_id), row).first():
        return
    source = sa.create_engine(f"sqlite:///{file}")
    with source.connect() as reader:
        for table in (KEYS, SETTLED, RESERVATIONS, STORED_ANSWERS):
            if not sa.inspect(reader).has_table(table.name):
                continue  # stored_answers: only a gateway made it
            if rows := [dict(row) for row in reader.execute(sa.select(table)).mappings()]:
                connection.execute(_insert(table, connection), rows)
                log.warning("%d rows of %s are copied from %s", len(rows), table.name, file)
    source.dispose()


def set_aside_ledger_file(home: Path) -> None:
    """Rename `ledger.sqlite`, whose rows the database has."""
    with contextlib.suppress(FileNotFoundError):
        (home / "ledger.sqlite").rename(home / f"ledger.sqlite{ADOPTED_SUFFIX}")


def _insert(table: sa.Table, connection: sa.Connection) -> sa.Insert:
    """An INSERT for rows of one more ledger: homes of several gateways may come together in one Postgres."""
    insert = insert_into(table, connection.dialect.name)
    if table is SETTLED:
        return insert.on_conflict_do_update(
            index_elements=[SETTLED.c.key_id, SETTLED.c.day], set_={"units": SETTLED.c.units + insert.excluded.units}
        )
    return insert.on_conflict_do_nothing()


def _end_write_ahead_log(file: Path) -> None:
    """Bring all commits into the file itself. Raises `SettingsError` while another process has it open."""
    with contextlib.closing(sqlite3.connect(file, timeout=_IN_USE_TIMEOUT_S)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            raise SettingsError(
                f"{str(file)!r} belongs to the previous release and is in use ({error}). Stop the gateway of the "
                "previous release (`lakehop down`), then try again."
            ) from None


def _file_id(file: Path) -> int:
    """A random number that stands in the file itself, so that its copy in two homes is still one file."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        (file_id,) = connection.execute("PRAGMA user_version").fetchone()
        if not file_id:
            file_id = secrets.randbelow(2**31 - 1) + 1
            connection.execute(f"PRAGMA user_version = {file_id}")
    return int(file_id)
