"""Homes, processes and servers for the tests of infra; a test's processes are stopped at its end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.stack.processes import Supervisor
from lakehouse.settings import Settings
from tests.infra.answering_gateway import Gateway, serving


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder; every process with its mark is stopped at the end."""
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
def settings(tmp_path: Path, gateway: Gateway) -> Settings:
    """Settings with the scripted gateway; some test files replace them by settings of their own."""
    (tmp_path / "operator.key").write_text("lh_operator\n")
    return Settings(home=tmp_path, gateway_url=gateway.url)


@pytest.fixture
def questions(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: dict[str, Any]) -> Path:
        path = tmp_path / "questions.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return write
