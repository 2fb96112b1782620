"""A TCP proxy that falls silent: after a number of bytes from the server it sends no more, and closes no connection.

A store behind a broken switch looks like this: no error and no end of the connection.
"""

import socket
import threading
from contextlib import suppress


class SilentProxy:
    """Listens on loopback and forwards to a port there, until the server sent `silent_after` bytes; None: always."""

    def __init__(self, target_port: int) -> None:
        self.silent_after: int | None = None
        self.answered = 0
        self._target = ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def is_silent(self) -> bool:
        return self.silent_after is not None and self.answered >= self.silent_after

    def close(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if is_answer:
                    with self._lock:
                        self.answered += len(data)
                if not self.is_silent:
                    sink.sendall(data)
            if not self.is_silent:
                sink.shutdown(socket.SHUT_WR)
