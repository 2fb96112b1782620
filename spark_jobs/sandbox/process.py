"""The converting process: reads files that others made, by parsers that may hang, swell or crash, and may do no more.

`spark_jobs.sandbox.converter` starts it, one for each Spark worker, and sends it open files. It can reach no network,
start no program but `tesseract`, write no file and open none but those of Python itself: an audit hook, which nothing
can take off again, refuses the rest. What escapes that (a parser's own C code) still meets the limits on memory and
time.
"""

import array
import ctypes
import json
import mimetypes
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path, PurePosixPath
from typing import IO, Any

from spark_jobs.formats.office import prepare
from spark_jobs.formats.parsing import Document, Limits, Refused
from spark_jobs.sandbox.containers import parts

OUT_OF_MEMORY = 77
"""Exit status of a process that had no memory left to find the next document of a file."""
_PR_SET_PDEATHSIG = 1
_IMPORTS_BYTES = 600 * 2**20  # what all parsers together reserve, most of it never touched
_FORBIDDEN = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
              "os.system", "os.exec", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir", "os.symlink", "os.link",
              "shutil.", "pty.spawn", "webbrowser.open")  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_FRAME = struct.Struct("!I")

Frame = dict[str, Any]


def send(channel: socket.socket, frame: Frame, file: int | None = None) -> None:
    """One message as JSON behind its length; `file` is handed over with it."""
    content = json.dumps(frame).encode()
    head = _FRAME.pack(len(content))
    rights = [] if file is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))]
    channel.sendmsg([head], rights)
    channel.sendall(content)


def receive(channel: socket.socket) -> tuple[Frame, int | None]:
    """The next message, and the file that came with it. `EOFError` when the other side is gone."""
    rights = array.array("i")
    head, ancillary, _, _ = channel.recvmsg(_FRAME.size, socket.CMSG_SPACE(rights.itemsize))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            rights.frombytes(data[: rights.itemsize])
    head += _exactly(channel, _FRAME.size - len(head)) if head else b""
    if not head:
        raise EOFError
    return json.loads(_exactly(channel, _FRAME.unpack(head)[0])), (rights[0] if rights else None)


def _exactly(channel: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        part = channel.recv(min(size - len(content), 1 << 20))
        if not part:
            raise EOFError
        content += part
    return bytes(content)


def serve(channel: socket.socket, limits: Limits) -> None:
    """Answer requests until the other side goes away."""
    at_start = _address_space()
    while True:
        try:
            request, descriptor = receive(channel)
        except (EOFError, ConnectionError):
            return
        assert descriptor is not None
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            _convert(channel, request, file, limits)
        # a process that has grown keeps its holes; the limit would grow with it
        retires = _address_space() > at_start + limits.memory_mb * 2**20 // 2 + _IMPORTS_BYTES
        send(channel, {"done": True, "retires": retires})


def _convert(channel: socket.socket, request: Frame, file: IO[bytes], limits: Limits) -> None:
    """A `begin` frame and a result for each document of the file, but for the first `skip`."""
    suffix = PurePosixPath(request["doc_id"]).suffix.lower()
    send(channel, {"preparing": True})
    prepare(suffix)
    send(channel, {"prepared": True})
    _limit_memory(limits.memory_mb)
    try:
        for number, part in enumerate(parts(request["doc_id"], request["uri"], file, limits)):
            if number < request["skip"]:
                continue
            send(channel, {"begin": part.doc_id, "uri": part.uri})
            send(channel, _result(part.read, limits))
            _limit_memory(limits.memory_mb)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _result(read: Any, limits: Limits) -> Frame:
    try:
        document: Document = read()
    except Refused as refused:
        return {"reason": str(refused)}
    except MemoryError:
        return {"reason": too_much_memory(limits)}
    moment = document.updated_at and document.updated_at.isoformat()
    return {"title": document.title, "text": document.text, "updated_at": moment}


def too_much_memory(limits: Limits) -> str:
    return f"needs more than {limits.memory_mb} MB to read. Split or simplify it, or raise LAKEHOP_DOCUMENT_MEMORY_MB."


def _limit_memory(memory_mb: int) -> None:
    """What is in use now, and so much more; beyond it an allocation fails. Linux only: macOS ignores the limit."""
    most = _address_space() + memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _address_space() -> int:
    try:
        with open("/proc/self/statm", "rb") as pages:
            return int(pages.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        return 0


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the line above
        os._exit(1)


def _forbid(allowed_program: str = "tesseract") -> None:
    roots = {sys.prefix, sys.base_prefix, *sys.path, *(str(Path(path).resolve()) for path in sys.path)}
    readable = (*(root.rstrip("/") + "/" for root in roots if root), "/proc/self/", "/usr/share/zoneinfo/")

    def hook(event: str, values: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = values
            if not isinstance(path, str | bytes) or (name := os.fsdecode(path)) == os.devnull:
                return
            if (flags or 0) & _WRITING or not name.startswith(readable):
                raise PermissionError(f"a document may not open {name!r}")
        elif event == "subprocess.Popen":
            if PurePosixPath(os.fsdecode(values[0])).name != allowed_program:
                raise PermissionError(f"a document may not start {values[0]!r}")
        elif event.startswith(_FORBIDDEN):
            raise PermissionError(f"a document may not do {event}")

    sys.addaudithook(hook)


def main() -> None:
    """`python -m spark_jobs.sandbox.process FD PARENT LIMITS`, as `spark_jobs.sandbox.converter` calls it."""
    descriptor, parent, limits = int(sys.argv[1]), int(sys.argv[2]), Limits(**json.loads(sys.argv[3]))
    _die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would hold the document
    mimetypes.init()
    _forbid()
    with socket.socket(fileno=descriptor) as channel:
        try:
            serve(channel, limits)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
