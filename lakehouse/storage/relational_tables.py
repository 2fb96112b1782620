"""The tables of the relational database, as SQLAlchemy Core declarations. DBOS declares its own tables.

Money is in `…_units` columns: whole units of 10^-10 US dollars, the ten places of every MONEY column of the lakehouse.
SQLite has no exact decimal type, and integers are exact and equal on both databases. Times are ISO texts, or seconds
since 1970 where they are compared. A change here needs a migration; tests compare the two.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

VERSION_TABLE = "lakehop_alembic_version"
METADATA = sa.MetaData()

KEYS = sa.Table(
    "keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
    sa.Column("tenant_id", sa.Text, nullable=False),
    sa.Column("acl_groups", sa.Text, nullable=False),  # A JSON array.
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("daily_units", sa.BigInteger),  # NULL: no cap.
    sa.Column("operator", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("revoked_at", sa.Text),
)
"""API keys; one row per key."""

SETTLED = sa.Table(
    "settled",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("units", sa.BigInteger, nullable=False),
)
"""Spend of ended tasks; one row per key and day (UTC)."""

RESERVATIONS = sa.Table(
    "reservations",
    METADATA,
    sa.Column("reservation_id", sa.Text, primary_key=True),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("reserved_units", sa.BigInteger, nullable=False),
    sa.Column("spent_units", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Index("reservations_by_day", "key_id", "day"),
)
"""Money that running tasks hold; one row per task."""

STORED_ANSWERS = sa.Table(
    "stored_answers",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("question_sha256", sa.Text, nullable=False),
    sa.Column("answer", sa.Text),  # NULL: the first call still runs.
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Index("stored_answers_by_expiry", "expires_at"),
)
"""Answers under an Idempotency-Key; one row per API key and Idempotency-Key."""

ADOPTED_FILES = sa.Table(
    "adopted_files",
    METADATA,
    sa.Column("file_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("adopted_at", sa.Text, nullable=False),
)
"""SQLite files of the previous release whose rows this database has; one row per file."""

TASKS = sa.Table(
    "lakehop_tasks",
    METADATA,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("runs", sa.Integer, nullable=False, server_default="0"),  # How often a process began it.
    sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
)
"""Durable tasks that were begun or cancelled; one row per task, beside its DBOS workflow."""

EXECUTORS = sa.Table(
    "lakehop_executors",
    METADATA,
    sa.Column("executor_id", sa.Text, primary_key=True),
    sa.Column("beats", sa.BigInteger),
)
"""Heartbeats; one row per process that works at durable tasks."""

EARLIER_STEPS = sa.Table(
    "lakehop_steps",
    METADATA,
    sa.Column("task_id", sa.Text, primary_key=True),
    sa.Column("place", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("gave", sa.LargeBinary, nullable=False),
)
"""Steps that the previous release recorded; DBOS records those of this release. Only read, and empty a day after."""


def insert_into(table: sa.Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`; `dialect`: sqlite or postgresql."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
