"""Empty databases for tests that run on SQLite and on Postgres."""

import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.integration)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """LAKEHOP_DATABASE_URL of an empty database: each test that asks for it runs on SQLite and on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lakehop.sqlite'}"
    return empty_database(request.getfixturevalue("postgres"))


def empty_database(postgres: str) -> str:
    """URL of a new database on the server of the fixture `postgres`, for the driver that Lakehop takes."""
    server = sa.make_url(postgres).set(drivername="postgresql+psycopg")
    name = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.set(database=name).render_as_string(hide_password=False)
