"""Homes, processes and servers of their own for the tests of the stack; what a test starts is stopped after it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.processes import Supervisor
from tests.infra.answering_gateway import Gateway, serving


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


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serving() as gateway:
        yield gateway


@pytest.fixture
def questions(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: dict[str, Any]) -> Path:
        path = tmp_path / "questions.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write
