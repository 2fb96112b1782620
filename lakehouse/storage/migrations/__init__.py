"""Alembic migrations of our tables; `lakehouse.storage.database` runs them when a process opens the database.

To add a migration, copy the newest file of `versions/`, raise its number, and set `NEWEST_VERSION` in `database`. A
test compares the migrated tables with `lakehouse.storage.relational_tables`.
"""
