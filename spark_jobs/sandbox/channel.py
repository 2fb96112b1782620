"""Messages between a Spark worker and its converting process: JSON over a socket pair, and open files with them."""

import array
import json
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")

Frame = dict[str, Any]


def send(channel: socket.socket, frame: Frame, file: int | None = None) -> None:
    """Send one message behind its length; `file` is the descriptor of an open file that goes with it."""
    content = json.dumps(frame).encode()
    head = _LENGTH.pack(len(content))
    rights = [] if file is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
    channel.sendmsg([head], rights)
    channel.sendall(content)


def receive(channel: socket.socket) -> tuple[Frame, int | None]:
    """The next message, and the file that came with it. Raises EOFError when the other side is gone."""
    rights = array.array("i")
    head, ancillary, _, _ = channel.recvmsg(_LENGTH.size, socket.CMSG_SPACE(rights.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            rights.frombytes(data[: rights.itemsize])
    head += _receive_bytes(channel, _LENGTH.size - len(head)) if head else b""
    if not head:
        raise EOFError
    return json.loads(_receive_bytes(channel, _LENGTH.unpack(head)[0])), (rights[0] if rights else None)


def _receive_bytes(channel: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        chunk = channel.recv(min(size - len(content), 1 << 20))
        if not chunk:
            raise EOFError
        content += chunk
    return bytes(content)
