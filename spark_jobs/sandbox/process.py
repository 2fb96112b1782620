"""The converting process: reads files from strangers with parsers that may hang, use up memory or crash.

`spark_jobs.sandbox.converter` starts one for each Spark worker and sends it open files. The process reaches no network,
starts no program but `tesseract`, writes no file and opens only files of Python itself: an audit hook, which cannot be
removed, refuses the rest. The C code of a parser can escape the hook, but not the limits on memory and time.
"""

import ctypes
import json
import mimetypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any

from spark_jobs.formats.document import ParsedDocument, ParseLimits, Refused
from spark_jobs.formats.format import Format
from spark_jobs.sandbox.channel import Frame, receive, send
from spark_jobs.sandbox.containers import pending_documents

OUT_OF_MEMORY = 77
"""Exit status of a process without the memory to find the next document of a file."""
_PR_SET_PDEATHSIG = 1
_IMPORTS_BYTES = 600 * 2**20  # address space that all parsers together reserve; most of it is never used
_FORBIDDEN = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname",
              "os.system", "os.exec", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir", "os.symlink", "os.link",
              "shutil.", "pty.spawn", "webbrowser.open")  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def serve(channel: socket.socket, limits: ParseLimits) -> None:
    """Answer requests until the Spark worker closes the channel."""
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
        # freed memory stays in the address space, and the next limit starts from there
        retires = _address_space() > at_start + limits.memory_mb * 2**20 // 2 + _IMPORTS_BYTES
        send(channel, {"done": True, "retires": retires})


def _convert(channel: socket.socket, request: Frame, file: IO[bytes], limits: ParseLimits) -> None:
    """Send a `begin` frame and a result for each document of the file, after the first `skip` documents."""

    def prepare(file_format: Format) -> None:
        """Import parsers outside the limits: neither their time nor their memory counts for the document."""
        if any(module not in sys.modules for module in file_format.parsers):
            send(channel, {"preparing": True})
            _lift_memory_limit()
            file_format.import_parsers()
            _limit_memory(limits.memory_mb)
            send(channel, {"prepared": True})

    _limit_memory(limits.memory_mb)
    send(channel, {"prepared": True})  # the process has started: the seconds of the first document begin
    try:
        documents = pending_documents(request["doc_id"], request["uri"], file, limits, prepare)
        for number, pending in enumerate(documents):
            if number < request["skip"]:
                continue
            send(channel, {"begin": pending.doc_id, "uri": pending.uri})
            send(channel, _result(pending.read, limits))
            _limit_memory(limits.memory_mb)
    finally:
        _lift_memory_limit()


def _result(read: Callable[[], ParsedDocument], limits: ParseLimits) -> Frame:
    try:
        document = read()
    except Refused as refused:
        return {"reason": str(refused)}
    except MemoryError:
        return {"reason": too_much_memory(limits)}
    moment = document.updated_at and document.updated_at.isoformat()
    fields = {name: getattr(document, name) for name in ("title", "text", "document_type", "author")}
    return fields | {"updated_at": moment}


def too_much_memory(limits: ParseLimits) -> str:
    """The reason to refuse a document that exceeds the memory limit."""
    return f"needs more than {limits.memory_mb} MB to read. Split or simplify it, or raise LAKEHOP_DOCUMENT_MEMORY_MB."


def _limit_memory(memory_mb: int) -> None:
    """Let allocations fail beyond this much more memory than is in use now. Linux only: macOS ignores the limit."""
    limit = _address_space() + memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def _lift_memory_limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _address_space() -> int:
    """Bytes; 0 on macOS."""
    try:
        with open("/proc/self/statm", "rb") as pages:
            return int(pages.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        return 0


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the line above
        os._exit(1)


def forbid_side_effects(allowed_program: str = "tesseract") -> None:
    """Install the audit hook: from here on the process only reads Python's own files and files that it is sent."""
    roots = {sys.prefix, sys.base_prefix, *sys.path, *(str(Path(path).resolve()) for path in sys.path)}
    readable = (
        *(root.rstrip("/") + "/" for root in roots if root),
        "/proc/self/",
        "/proc/meminfo",
        "/usr/share/zoneinfo/",
    )

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
            raise PermissionError(f"a document may not call {event}")

    sys.addaudithook(hook)


def main() -> None:
    """`python -m spark_jobs.sandbox.process FD PARENT LIMITS`, as `spark_jobs.sandbox.converter` calls it."""
    descriptor, parent, limits = int(sys.argv[1]), int(sys.argv[2]), ParseLimits(**json.loads(sys.argv[3]))
    _die_with_parent(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump holds the document
    mimetypes.init()
    forbid_side_effects()
    with socket.socket(fileno=descriptor) as channel:
        try:
            serve(channel, limits)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
