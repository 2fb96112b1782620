"""Runs the migrations on the connection, and in the transaction, that `lakehouse.storage.database` gives."""

from alembic import context

from lakehouse.storage.relational_tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE
)
context.run_migrations()
