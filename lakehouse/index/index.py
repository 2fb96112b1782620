"""The index of all tenants' chunks in Milvus: a reader, a writer and the collections, on one connection."""

from lakehouse.index.collections import Collections
from lakehouse.index.reader import Reader
from lakehouse.index.server import Capabilities, Server
from lakehouse.index.writer import Writer
from lakehouse.settings import Settings


class Index:
    """One connection to Milvus for a process that writes; connects at the first call, safe to share between threads.

    A process that only reads needs `reader` alone.
    """

    def __init__(self, settings: Settings) -> None:
        self._server = Server(settings)
        self.collections = Collections(self._server)
        self.reader = Reader(self._server, self.collections)
        self.writer = Writer(self._server, self.collections)

    @property
    def capabilities(self) -> Capabilities:
        """What the connected server can do."""
        return self._server.capabilities

    def close(self) -> None:
        """Close the connection."""
        self._server.close()
