"""The relational database of keys, caps, Idempotency-Keys and durable tasks: SQLite under home, or one Postgres.

`Database.open` migrates the tables and takes over the SQLite files of the previous release. DBOS keeps its own tables
in the same database, over the same pool of connections.
"""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from lakehouse.errors import SettingsError, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage.adoption import adopt_tasks_file, copy_ledger_file, set_aside_ledger_file
from lakehouse.storage.relational_tables import VERSION_TABLE

DRIVERS = ("postgresql+psycopg", "sqlite")
NEWEST_VERSION = "0001"
"""The newest revision in `lakehouse/storage/migrations/versions`."""
MIGRATIONS = Path(__file__).parent / "migrations"
# A process waits this long for the write transaction of another process. A transaction takes about a millisecond, but
# the migrations at a start take seconds.
BUSY_TIMEOUT_S = 30
IDLE_IN_TRANSACTION_S = 60
# DBOS works with up to 64 threads; most of them wait for a model and hold no connection.
POOL_SIZE = 20
_MIGRATION_LOCK = 4_276_115_317  # any number, the same in all processes: key of a Postgres advisory lock
_UNIXEPOCH_SUBSEC = (3, 42)


class Database:
    """A pool of connections to the migrated database; safe to share between threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # On SQLite, our own statements share one connection: to get one from the pool takes longer than a statement,
        # and threads that wait for SQLite's lock sleep for up to 100 ms.
        self._sqlite = engine.connect() if engine.dialect.name == "sqlite" else None
        self._sqlite_lock = threading.Lock()
        # On Postgres, a single statement needs no BEGIN and ROLLBACK around it.
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def open(cls, settings: Settings) -> "Database":
        """Connect, migrate, and take over the files of the previous release; several processes may do so at once.

        Raises `SettingsError` for a bad URL, for a database of a newer release, and while a process of the previous
        release uses its files; `Unavailable` when the database does not answer.
        """
        url = database_url(settings)
        check_database_url(url)
        file = sqlite_file(url)
        lock_file = file.with_name(f"{file.name}.lock") if file else settings.home / "database.lock"
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock_file, mode=0o600):
            adopt_tasks_file(settings.home, None if settings.database_url.get_secret_value() else file)
            if file:
                _create_sqlite_file(file)
            database = cls(_engine(url))
            try:
                database.migrate()
            except OperationalError as error:
                raise Unavailable("database", f"LAKEHOP_DATABASE_URL: {error.orig}. Start the database.") from None
            with database.write() as connection:
                copy_ledger_file(settings.home, connection)
            set_aside_ledger_file(settings.home)
        return database

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read with. Each statement sees a state of its own."""
        if self._sqlite:
            with self._sqlite_lock:
                try:
                    yield self._sqlite
                finally:
                    self._sqlite.rollback()
        else:
            with self._reader.connect() as connection:
                yield connection

    @contextlib.contextmanager
    def write(self, lock: tuple[sa.Executable, dict[str, Any]] | None = None) -> Iterator[sa.Connection]:
        """A transaction. Its first statement must be an INSERT, UPDATE or DELETE, which takes SQLite's write lock.

        `lock`: a SELECT … FOR UPDATE, with its parameters, of the row that decides; SQLite needs none.
        """
        if self._sqlite:
            with self._sqlite_lock, self._sqlite.begin():
                yield self._sqlite
        else:
            with self.engine.begin() as connection:
                if lock:
                    connection.execute(*lock)
                yield connection

    def migrate(self) -> None:
        """Bring the tables to the newest version. Raises `SettingsError` for a database of a newer release."""
        with self.read() as connection:
            if _version(connection) == NEWEST_VERSION:
                return
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.write(lock=(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)), {})) as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # a migration may begin with a statement of another kind
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError:
                raise SettingsError(
                    f"LAKEHOP_DATABASE_URL: the database has version {_version(connection)}, this release knows up to "
                    f"{NEWEST_VERSION}. Use the release that wrote it, or a newer one."
                ) from None

    def close(self) -> None:
        """Close all connections; the database is not used after."""
        if self._sqlite:
            self._sqlite.close()
        self.engine.dispose()


def database_url(settings: Settings) -> str:
    """The SQLAlchemy URL of the database, password included."""
    return settings.database_url.get_secret_value() or f"sqlite:///{settings.home / 'lakehop.sqlite'}"


def check_database_url(url: str) -> None:
    """Raises `SettingsError` for the URL of a database that Lakehop cannot use; its message has no password."""
    try:
        parsed = make_url(url)
        driver = parsed.drivername
    except ArgumentError:
        driver = "none"
    if driver not in DRIVERS:
        raise SettingsError(
            f"LAKEHOP_DATABASE_URL: driver {driver!r}: must be one of {', '.join(DRIVERS)}, as in "
            "postgresql+psycopg://user:password@host/database. Correct it, or leave it empty for SQLite under home."
        )
    if driver == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError(
            "LAKEHOP_DATABASE_URL: a SQLite database needs a file, as in sqlite:////srv/lakehop.sqlite. "
            "Correct it, or leave it empty for SQLite under home."
        )


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for Postgres."""
    parsed = make_url(url)
    return Path(str(parsed.database)) if parsed.drivername == "sqlite" else None


def _create_sqlite_file(file: Path) -> None:
    """Make the file where there is none, readable by its owner only, with a log beside it (WAL)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # Never open an existing file beside SQLite: closing it again drops the locks that this process holds on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _engine(url: str) -> sa.Engine:
    if sqlite_file(url):
        engine = sa.create_engine(url, pool_size=POOL_SIZE)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        return engine
    engine = sa.create_engine(url, pool_size=POOL_SIZE, pool_pre_ping=True)  # Postgres may restart while we run
    sa.event.listen(engine, "connect", _set_up_postgres)
    return engine


def _set_up_postgres(connection: Any, _: object) -> None:
    """Let a process that is frozen in a transaction lose it and its row locks, as on DBOS's own connections."""
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION_S}s'")
    connection.commit()


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """Settings of a connection; the transactions and foreign keys are as DBOS sets them on its own connections."""
    connection.isolation_level = "IMMEDIATE"
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # a settled dollar survives a power cut, for one fsync a task
    if sqlite3.sqlite_version_info < _UNIXEPOCH_SUBSEC:  # Debian 12 has 3.40, whose unixepoch('subsec') is NULL
        connection.create_function("unixepoch", 1, lambda _: time.time())


def _version(connection: sa.Connection) -> Any:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608  our own constant
