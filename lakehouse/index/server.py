"""One connection to Milvus, whatever its size: what it can do, how long it may take, and what its errors mean.

`milvus-lite server` and a Milvus cluster are called alike. They differ in what they can do, which is read from the
server's version, because a server that lacks a function may accept its schema and drop it in silence.
"""

import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

from lakehouse.errors import Unavailable
from lakehouse.settings import Settings

# It logs a traceback for every refusal, those that we expect too; ours say what is wrong.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

PATIENCE_S = 2.0
"""How long a refused connection is tried again: a server that restarts answers, one that is down is told soon."""
_RETRY_PAUSE_S = 0.1
_CHANNEL = {  # gRPC's own back-off reaches two minutes, long after the server is back
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 500,
    "grpc.max_reconnect_backoff_ms": 1000,
}
# Of the control characters only these end or confuse a literal; both servers read the rest as they are.
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def literal(text: str) -> str:
    """A text as a string literal of a Milvus filter, so that no text can end the literal and add a condition."""
    return f'"{text.translate(_ESCAPES)}"'


def literals(texts: Iterable[str]) -> str:
    """Texts as a list literal of a Milvus filter."""
    return f"[{', '.join(literal(text) for text in texts)}]"


@dataclass(frozen=True)
class Capabilities:
    """What a server can do for us."""

    version: str
    bm25: bool
    """It scores text itself and fuses it with vectors (Milvus 2.5 and newer, and milvus-lite 3)."""
    scalar_index: str
    """Index type of a text column that searches filter by."""
    several_writers: bool
    """Its collections may be written to by several clients at once: the embedded server loses rows of theirs."""

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
    """A Milvus server as one process sees it: connects at the first call, outlives restarts, safe between threads."""

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
        """Call a method of `MilvusClient` that is safe to repeat; `timeout_s` is `milvus_timeout_s` if not given.

        Raises `Unavailable` when the server is down or too slow, `MilvusException` when it refuses the call.
        """
        function = getattr(self._connected(), method)
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return function(*args, timeout=timeout_s or self._timeout_s, **kwargs)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > give_up_at:
                    raise self.unavailable(error.details() or str(error.code())) from error
            time.sleep(_RETRY_PAUSE_S)

    def rows(self, pages: Any) -> Iterator[dict[str, Any]]:
        """The rows of a query iterator, which calls the server page by page; errors as by `call`."""
        try:
            while page := pages.next():
                yield from page
        except grpc.RpcError as error:
            raise self.unavailable(error.details() or str(error.code())) from error
        except MilvusException as error:
            raise self.refused(error) from error

    def refused(self, error: MilvusException) -> Unavailable:
        """The error for a call that the server answered by a refusal of its own."""
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
        # Threads that waited for this lock while another failed do not wait for a failure of their own.
        if time.monotonic() - self._failed_at < 1:
            raise self.unavailable("no connection a second ago")
        timeout_s = min(PATIENCE_S, self._timeout_s)
        try:
            client = MilvusClient(
                self._uri, token=self._token, timeout=timeout_s, dedicated=True, grpc_options=_CHANNEL
            )
            # pymilvus would reconnect inside the call, one caller after the other under a lock of the process,
            # and then repeat the call until its time-out. The channel reconnects by itself; `call` repeats.
            client._handler._on_rpc_error = _give_back
            version = client.get_server_version(timeout=self._timeout_s)
        except (MilvusException, grpc.RpcError) as error:
            self._failed_at = time.monotonic()
            raise self.unavailable("no connection") from error
        self._capabilities = Capabilities.of(version)
        self._client = client


def _give_back(error: Exception) -> NoReturn:
    raise error
