"""The gateway of tests of tasks, once on SQLite and once on Postgres."""

from tests.databases import database_url

__all__ = ["database_url"]
