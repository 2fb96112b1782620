"""What every test shares: no test reads the developer's own settings, and none talks to a model hub."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

_MANUALS = os.environ.get("LAKEHOP_TEST_MANUALS", "")
for name in [name for name in os.environ if name.startswith("LAKEHOP_")]:
    del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"

settings.register_profile("lakehop", deadline=None)  # a shared machine's pauses are no failure
settings.load_profile("lakehop")


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port on loopback that nothing listens on now."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture(scope="session")
def manuals_folder() -> Path:
    """The folder that holds the corpora of tests/benchmarks/manual_questions.jsonl, which are not in the project."""
    if not _MANUALS:
        pytest.skip("needs the manuals. Set LAKEHOP_TEST_MANUALS to the folder that holds their folders.")
    return Path(_MANUALS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold a slow test first, the whole stack before all: whichever is begun last is waited for alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: str(item.path) if item.path in slow else "", reverse=True)
