"""What every test shares: no test reads the developer's own settings, and none talks to a model hub."""

import os
import socket
from collections.abc import Callable

import pytest
from hypothesis import settings

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
