"""One database: keys, caps, Idempotency-Keys, and what durable tasks need beside DBOS.

A database of durable tasks of the previous release has `lakehop_executors` and `lakehop_steps`; they stay.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("acl_groups", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("daily_units", sa.BigInteger),
        sa.Column("operator", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("revoked_at", sa.Text),
    )
    op.create_table(
        "settled",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("units", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "reservations",
        sa.Column("reservation_id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("reserved_units", sa.BigInteger, nullable=False),
        sa.Column("spent_units", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("reservations_by_day", "reservations", ["key_id", "day"])
    op.create_table(
        "stored_answers",
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("idempotency_key", sa.Text, primary_key=True),
        sa.Column("question_sha256", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("stored_answers_by_expiry", "stored_answers", ["expires_at"])
    op.create_table(
        "adopted_files",
        sa.Column("file_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("adopted_at", sa.Text, nullable=False),
    )
    op.create_table(
        "lakehop_tasks",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("runs", sa.Integer, nullable=False, server_default="0"),
        sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "lakehop_executors",
        sa.Column("executor_id", sa.Text, primary_key=True),
        sa.Column("beats", sa.BigInteger),
        if_not_exists=True,
    )
    op.create_table(
        "lakehop_steps",
        sa.Column("task_id", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("gave", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
