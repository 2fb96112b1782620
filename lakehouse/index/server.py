"""One connection to Milvus: what the server can do, how long a call may take, and what its errors mean.

`milvus-lite server` and a Milvus cluster are called alike. Their capabilities are read from the server's version,
because a server that lacks a function may accept its schema and ignore it.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from lakehouse.errors import Unavailable
from lakehouse.settings import Settings

# pymilvus logs a traceback for every refusal, also for expected refusals; our own errors explain them.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

JOB_TIMEOUT_S = 600.0
"""Flushing, building and loading take longer the larger the collection is."""
PATIENCE_S = 2.0
"""How long a refused connection is tried again: enough for a server that restarts, soon for one that is down."""
_RETRY_PAUSE_S = 0.1
_SILENCE_AFTER_FAILURE_S = 1.0
_DEFAULT_PORTS = {"http": 19530, "https": 443}  # as pymilvus has them
_CHANNEL_OPTIONS = {
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": -1,
    "grpc.enable_retries": 1,
    "grpc.keepalive_time_ms": 10_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 1,
    # gRPC's own back-off reaches two minutes, long after a server that restarted is back
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 500,
    "grpc.max_reconnect_backoff_ms": 1_000,
}


@dataclass(frozen=True)
class Capabilities:
    """What a server can do for us."""

    version: str
    bm25: bool
    """The server scores text itself and fuses it with vectors (Milvus 2.5 and newer, and milvus-lite 3)."""
    scalar_index: str
    """Index type of a text column that searches filter by."""
    several_writers: bool
    """Several clients may write to one collection at once. The embedded server loses rows when they do."""

    @classmethod
    def of(cls, version: str) -> "Capabilities":
        """Read a server's version, e.g. `milvus_lite-3.2.2`, `v2.3.5-lite` (a real Milvus) or `v2.6.1`."""
        if version.startswith("milvus_lite-"):
            return cls(version, bm25=True, scalar_index="INVERTED", several_writers=False)
        match = re.match(r"v?(\d+)\.(\d+)", version)
        if not match or (number := (int(match[1]), int(match[2]))) < (2, 3):
            raise Unavailable(
                "milvus", f"Milvus version {version!r}: must be 2.3 or newer. Run a released version of Milvus."
            )
        scalar_index = "INVERTED" if number >= (2, 4) else "Trie"
        return cls(version, bm25=number >= (2, 5), scalar_index=scalar_index, several_writers=True)


class Server:
    """A Milvus server: connects at the first call, survives the server's restarts, safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._uri = settings.milvus_uri
        self._token = settings.milvus_token.get_secret_value()
        self._timeout_s = settings.milvus_timeout_s
        self._lock = threading.Lock()
        self._client: MilvusClient | None = None
        self._capabilities: Capabilities | None = None
        self._failed_at = float("-inf")

    @property
    def capabilities(self) -> Capabilities:
        """What the server can do, read once from its version."""
        self._connected()
        assert self._capabilities is not None  # set before the client is
        return self._capabilities

    def call(self, method: str, *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Any:
        """Call a method of `MilvusClient` that is safe to repeat. `timeout_s` None: `milvus_timeout_s`.

        Raises `Unavailable` when the server is down, too slow, or refuses the call.
        """
        try:
            return self.attempt(method, *args, timeout_s=timeout_s, **kwargs)
        except MilvusException as error:
            raise self.refused(error) from error

    def job(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `call`, for a method that takes longer the larger the collection is."""
        return self.call(method, *args, timeout_s=JOB_TIMEOUT_S, **kwargs)

    def attempt(self, method: str, *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Any:
        """As `call`, but raises `MilvusException` when the server refuses, for callers that handle the refusal."""
        function = getattr(self._connected(), method)
        try:
            return function(*args, timeout=timeout_s or self._timeout_s, **kwargs)
        except grpc.RpcError as error:
            raise self.unavailable(error.details() or str(error.code())) from error

    def rows(self, pages: Any) -> Iterator[dict[str, Any]]:
        """The rows of a query iterator, which calls the server page by page; errors as of `call`."""
        try:
            while page := pages.next():
                yield from page
        except grpc.RpcError as error:
            raise self.unavailable(error.details() or str(error.code())) from error
        except MilvusException as error:
            raise self.refused(error) from error

    def refused(self, error: MilvusException) -> Unavailable:
        """The error for a call that the server refused."""
        return Unavailable(
            "milvus",
            f"Milvus at {self._uri} refused: {error.message}. If it has just started, try again; else read its log.",
        )

    def unavailable(self, reason: str) -> Unavailable:
        """The error for a call that got no usable answer."""
        return Unavailable(
            "milvus",
            f"Milvus at {self._uri}: {reason}. Start it (`lakehop up`), or set LAKEHOP_MILVUS_URI to one that runs.",
        )

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> MilvusClient:
        client = self._client
        if client is not None:
            return client
        with self._lock:
            if self._client is None:
                self._connect()
            assert self._client is not None
            return self._client

    def _connect(self) -> None:
        # Threads that waited for this lock while another thread failed do not wait for a failure of their own.
        if time.monotonic() - self._failed_at < _SILENCE_AFTER_FAILURE_S:
            raise self.unavailable("no connection a second ago")
        repeat_refused = _RepeatRefused()
        channel = grpc.intercept_channel(_open_channel(self._uri), repeat_refused)
        timeout_s = min(PATIENCE_S, self._timeout_s)
        try:
            # pymilvus passes `channel` on to its handler. On a channel of its own, pymilvus answers a refused
            # connection by reconnecting inside the call, one caller after the other under a lock of the process, and
            # repeats the call until its time-out.
            client = MilvusClient(self._uri, token=self._token, timeout=timeout_s, dedicated=True, channel=channel)
            version = client.get_server_version(timeout=self._timeout_s)
        except (MilvusException, grpc.RpcError) as error:
            channel.close()
            self._failed_at = time.monotonic()
            raise self.unavailable("no connection") from error
        self._capabilities = Capabilities.of(version)
        repeat_refused.patience_s = PATIENCE_S
        self._client = client


def _open_channel(uri: str) -> grpc.Channel:
    """A gRPC channel to `http://host[:port]` or `https://…`; it reconnects by itself."""
    address = urlsplit(uri)
    target = f"{address.hostname}:{address.port or _DEFAULT_PORTS[address.scheme]}"
    options = list(_CHANNEL_OPTIONS.items())
    if address.scheme == "https":
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.insecure_channel(target, options)


class _RepeatRefused(grpc.UnaryUnaryClientInterceptor):
    """Repeats a call while the connection is refused, for `patience_s`; then the call fails with `NoConnection`."""

    patience_s = 0.0
    """0 until the first connection: a server that was never there fails at once."""

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        give_up_at = time.monotonic() + self.patience_s
        while (outcome := continuation(client_call_details, request)).code() is grpc.StatusCode.UNAVAILABLE:
            if time.monotonic() >= give_up_at:
                return NoConnection(outcome.details())
            time.sleep(_RETRY_PAUSE_S)
        return outcome


class NoConnection(grpc.RpcError):
    """The connection is refused. pymilvus does not repeat a call that fails with this code."""

    def __init__(self, details: str) -> None:
        super().__init__(details)
        self._details = details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.DEADLINE_EXCEEDED

    def details(self) -> str:
        return self._details

    def result(self, timeout: float | None = None) -> NoReturn:
        """gRPC reads the outcome of an intercepted call by this method."""
        raise self
