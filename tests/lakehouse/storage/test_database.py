"""The relational database: migrated once by whoever comes first, and nothing of the previous release is lost."""

import hashlib
import multiprocessing
import sqlite3
import time
from contextlib import closing
from decimal import Decimal

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from lakehouse.access.ledger import Ledger
from lakehouse.errors import SettingsError, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage.database import MIGRATIONS, NEWEST_VERSION, Database, check_database_url
from lakehouse.storage.relational_tables import EARLIER_STEPS, METADATA, STORED_ANSWERS, VERSION_TABLE

LEDGER_OF_PREVIOUS_RELEASE = """
CREATE TABLE IF NOT EXISTS keys (
    key_id TEXT PRIMARY KEY, secret_sha256 TEXT NOT NULL UNIQUE, tenant_id TEXT NOT NULL, acl_groups TEXT NOT NULL,
    app TEXT NOT NULL, daily_units INTEGER, operator INTEGER NOT NULL, created_at TEXT NOT NULL, revoked_at TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS settled (
    key_id TEXT NOT NULL, day TEXT NOT NULL, units INTEGER NOT NULL, PRIMARY KEY (key_id, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reservations (
    reservation_id TEXT PRIMARY KEY, key_id TEXT NOT NULL, day TEXT NOT NULL,
    reserved_units INTEGER NOT NULL, spent_units INTEGER NOT NULL DEFAULT 0, expires_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS reservations_by_day ON reservations (key_id, day);
CREATE TABLE IF NOT EXISTS stored_answers (
    key_id TEXT NOT NULL, idempotency_key TEXT NOT NULL, question_sha256 TEXT NOT NULL,
    answer TEXT, expires_at REAL NOT NULL, PRIMARY KEY (key_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stored_answers_by_expiry ON stored_answers (expires_at);
"""
TASKS_OF_PREVIOUS_RELEASE = """
CREATE TABLE lakehop_steps (
    task_id TEXT NOT NULL, place TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, gave BLOB NOT NULL,
    PRIMARY KEY (task_id, place)
);
CREATE TABLE lakehop_executors (executor_id TEXT PRIMARY KEY, beats BIGINT);
"""
SECRET = "lh_of-the-previous-release"


@pytest.fixture
def earlier_ledger(tmp_path):
    """`ledger.sqlite` as a killed gateway leaves it: a key, spend, a running task, a kept answer, a log beside it."""
    file = tmp_path / "ledger.sqlite"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    later = time.time() + 600
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.executescript(LEDGER_OF_PREVIOUS_RELEASE)
    row = ("key_1", hashlib.sha256(SECRET.encode()).hexdigest(), "acme", '["eng"]', "wiki", 10**10, 0)
    database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, '2026-11-01T12:00:00+00:00', NULL)", row)
    database.execute("INSERT INTO settled VALUES ('key_1', ?, 2500000001)", (today,))
    database.execute("INSERT INTO reservations VALUES ('res_1', 'key_1', ?, 1000000000, 400000000, ?)", (today, later))
    database.execute("INSERT INTO stored_answers VALUES ('key_1', 'once', 'digest', '{\"a\": 1}', ?)", (later,))
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    database.close()
    for path, content in files.items():  # the log that a clean end removes
        path.write_bytes(content)
    assert (tmp_path / "ledger.sqlite-wal").exists()
    return file


def adopted(database):
    """Key, spend, hold, cap and answers that came from the previous release."""
    ledger = Ledger(database)
    spend = ledger.today("key_1")
    with database.read() as connection:
        answers = [row.answer for row in connection.execute(sa.select(STORED_ANSWERS))]
    return ledger.authenticate(SECRET).key_id, spend.spent_usd, spend.reserved_usd, spend.daily_usd, answers


ALL = ("key_1", Decimal("0.2900000001"), Decimal("0.06"), Decimal(1), ['{"a": 1}'])


def test_a_ledger_of_the_previous_release_is_taken_over_with_nothing_lost(tmp_path, database_url, earlier_ledger):
    settings = Settings(home=tmp_path, database_url=database_url)
    for _ in range(2):  # the second start reads nothing twice
        database = Database.open(settings)
        assert adopted(database) == ALL
        database.close()

    assert not earlier_ledger.exists()
    assert (tmp_path / "ledger.sqlite.adopted").exists()


def test_a_start_that_died_before_it_set_the_ledger_aside_reads_nothing_twice(tmp_path, database_url, earlier_ledger):
    settings = Settings(home=tmp_path, database_url=database_url)
    Database.open(settings).close()
    (tmp_path / "ledger.sqlite.adopted").rename(earlier_ledger)

    database = Database.open(settings)

    assert adopted(database) == ALL
    database.close()


def test_ledgers_of_two_gateways_come_together_in_one_database(tmp_path, database_url, earlier_ledger):
    other = tmp_path / "other"
    other.mkdir()
    with closing(sqlite3.connect(other / "ledger.sqlite")) as ledger:
        ledger.executescript(LEDGER_OF_PREVIOUS_RELEASE)
        ledger.execute("INSERT INTO keys VALUES ('key_2', 'digest', 'acme', '[]', 'wiki', NULL, 1, '2026-11-02', NULL)")
        ledger.commit()

    for home in (tmp_path, other):
        database = Database.open(Settings(home=home, database_url=database_url))
        database.close()
    database = Database.open(Settings(home=other, database_url=database_url))

    assert [(key.key_id, key.operator) for key in Ledger(database).list_keys()] == [("key_1", False), ("key_2", True)]
    database.close()


def test_the_tasks_file_of_the_previous_release_becomes_the_default_database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "tasks.sqlite")) as tasks:
        tasks.execute("PRAGMA journal_mode = WAL")
        tasks.executescript(TASKS_OF_PREVIOUS_RELEASE)
        tasks.execute("CREATE TABLE of_dbos (id TEXT)")
        tasks.execute("INSERT INTO lakehop_steps VALUES ('task_1', '1', 1, 'read', x'00')")
        tasks.commit()

    database = Database.open(Settings(home=tmp_path))

    with database.read() as connection:
        assert connection.scalar(sa.select(EARLIER_STEPS.c.task_id)) == "task_1"
        assert sa.inspect(connection).has_table("of_dbos")
    assert not (tmp_path / "tasks.sqlite").exists()
    assert (tmp_path / "lakehop.sqlite").stat().st_mode & 0o777 == 0o600
    database.close()


@pytest.mark.parametrize("name", ["ledger.sqlite", "tasks.sqlite"])
def test_files_that_the_previous_release_still_uses_are_left_to_it(tmp_path, monkeypatch, name):
    monkeypatch.setattr("lakehouse.storage.adoption._IN_USE_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(tmp_path / name)) as used:
        used.execute("PRAGMA journal_mode = WAL")
        used.execute("CREATE TABLE t (a)")

        with pytest.raises(SettingsError, match=rf"{name}.* is in use .*lakehop down"):
            Database.open(Settings(home=tmp_path))
    assert (tmp_path / name).exists()


def test_the_migrations_make_the_tables_that_are_declared(tmp_path, database_url):
    database = Database.open(Settings(home=tmp_path, database_url=database_url))

    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
        assert context.get_current_revision() == NEWEST_VERSION
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == NEWEST_VERSION
    database.close()


def test_a_database_of_a_newer_release_is_refused(tmp_path, database_url):
    settings = Settings(home=tmp_path, database_url=database_url)
    database = Database.open(settings)
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    database.close()

    with pytest.raises(SettingsError, match="has version 9999, this release knows up to"):
        Database.open(settings)


def test_many_processes_that_start_at_once_take_over_a_ledger_once(tmp_path, database_url, earlier_ledger):
    settings = Settings(home=tmp_path, database_url=database_url)
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        assert processes.map(_spent, [settings] * 3) == [ALL[1]] * 3


def _spent(settings):
    database = Database.open(settings)
    spent = Ledger(database).spent_today("key_1")
    database.close()
    return spent


def test_a_failed_write_changes_nothing_and_frees_the_lock(tmp_path, database_url):
    database = Database.open(Settings(home=tmp_path, database_url=database_url))
    ledger = Ledger(database)
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(sa.insert(STORED_ANSWERS), [_answer("a"), _answer("a")])

    ledger.create_key("acme", [], "wiki", None)
    with database.read() as connection:
        assert connection.execute(sa.select(STORED_ANSWERS)).all() == []
    database.close()


def _answer(idempotency_key):
    return {"key_id": "key_1", "idempotency_key": idempotency_key, "question_sha256": "", "expires_at": 1.0}


@pytest.mark.parametrize(
    "url", ["mysql://me:pg-secret@host/tasks", "postgresql://me:pg-secret@host/tasks", "pg-secret", "sqlite://"]
)
def test_a_url_of_another_database_is_refused_without_its_password(url):
    with pytest.raises(SettingsError, match="LAKEHOP_DATABASE_URL") as refused:
        check_database_url(url)

    assert "pg-secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["sqlite:///tasks.sqlite", "postgresql+psycopg://me@host/tasks"])
def test_a_url_of_sqlite_or_postgres_is_taken(url):
    check_database_url(url)


def test_a_database_that_does_not_answer_is_named_without_its_password(tmp_path, free_port):
    url = f"postgresql+psycopg://me:pg-secret@127.0.0.1:{free_port()}/lakehop"

    with pytest.raises(Unavailable, match="LAKEHOP_DATABASE_URL") as down:
        Database.open(Settings(home=tmp_path, database_url=url))

    assert down.value.part == "database"
    assert "pg-secret" not in str(down.value)
