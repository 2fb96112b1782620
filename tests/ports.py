"""Ports for the servers that tests and benchmarks start."""

import contextlib
import secrets
import socket

# Below those that Linux gives out by itself: before a test's server listens, a Spark that starts would get the same.
_OURS = range(20_000, 32_768)


def free_port() -> int:
    """A port on loopback that nothing listens on now."""
    while True:
        port = secrets.choice(_OURS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
