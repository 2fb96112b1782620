"""Homes and processes of their own for the tests of the stack; whatever a test starts is stopped after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.processes import Supervisor


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder; every process that bears its mark is stopped at the end."""
    home = tmp_path / "home"
    home.mkdir()
    yield home
    Supervisor(home).stop_all()


@pytest.fixture
def supervisor(home: Path) -> Supervisor:
    return Supervisor(home)
