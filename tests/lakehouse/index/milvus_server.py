"""A real Milvus 2.3.5 that is reachable by one loopback port only.

Milvus listens on all interfaces, and no setting changes that. So it runs in a network namespace of its own, which has
loopback only and where its usual ports are always free. This file is also the program in that namespace: it starts
Milvus and relays to it from an inherited listening socket. A socket stays in the namespace where it was created, so the
inherited socket is still on the loopback of the tests.
"""

import asyncio
import fcntl
import os
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # Linux's, for `ip link set lo up` where there is no `ip`


def missing() -> str | None:
    """The reason why Milvus cannot run on this machine; None if it can."""
    try:
        subprocess.run([*UNSHARE, "true"], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        return "no `unshare`, which keeps a Milvus server off the network"
    except subprocess.CalledProcessError as error:
        return f"no network namespaces, which keep a Milvus server off the network: {error.stderr.strip()}"
    return None


class MilvusServer:
    """Milvus on `127.0.0.1:port`, with its data in a folder; it ends with the process that starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start Milvus and wait until it is healthy; later starts use the port of the first start."""
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            self.port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [*UNSHARE, sys.executable, __file__, str(self.folder), str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=[listener.fileno()],
            )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n", f"Milvus ended: see {self.folder}/logs"

    def stop(self) -> None:
        """Kill Milvus, as a crash would, and wait until it has ended."""
        if self._process:
            self._process.communicate()  # ends its input, and with that the program below
            self._process = None


def main(folder: str, listener: int) -> None:
    """Run Milvus and the relay, in a fresh namespace, until the standard input ends."""
    import milvus  # imported here, because it is packaged for x86_64 only

    with socket.socket() as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    config = milvus.MilvusServerConfig()
    config.set("common.session.ttl", 5)  # seconds for which a killed server's locks stay
    config.set("queryCoord.checkInterval", 100)  # milliseconds; loading takes a few of these
    server = milvus.MilvusServer(config, data_dir=folder)
    try:
        server.start()
        asyncio.run(relay(socket.socket(fileno=listener), server.listen_port))
    finally:
        if server.server_proc:
            server.server_proc.kill()
        server.stop()


async def relay(listener: socket.socket, port: int) -> None:
    """Join each connection to the listener with one to the port, until the standard input ends."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    relaying = await asyncio.start_server(join, sock=listener)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    relaying.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
