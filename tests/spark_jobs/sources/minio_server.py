"""A MinIO for tests: built once from its Go module, kept in the user's cache folder, served on loopback."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

MODULE = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"
BINARY = Path.home() / ".cache" / "lakehop-tests" / "bin" / "minio"
# The packages that the description of the setting names; the first run downloads 690 MB.
HADOOP_AWS = "org.apache.hadoop:hadoop-aws:3.5.0"
KEY, SECRET = "lakehop-tests", "no secret from anybody"


@dataclass(frozen=True)
class Minio:
    """The port of the server, and a file system of its buckets for tests to write into."""

    port: int
    files: fs.S3FileSystem

    def settings(self, port: int | None = None) -> dict[str, Any]:
        """Settings of a lakehouse that uses the server; `port`: of a proxy in front of the server."""
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return {
            "spark_packages": HADOOP_AWS, "s3_endpoint": endpoint, "s3_access_key": KEY, "s3_secret_key": SECRET
        }  # fmt: skip

    def write(self, path: str, content: bytes) -> None:
        with self.files.open_output_stream(path) as stream:
            stream.write(content)


def built() -> Path:
    """The server's binary; skips the test on a machine without the binary and without Go."""
    if not BINARY.exists():
        if shutil.which("go") is None:
            pytest.skip("no MinIO: it is built by `go install`, and there is no Go")
        BINARY.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["go", "install", MODULE], env=os.environ | {"GOBIN": str(BINARY.parent)}, check=True)
    return BINARY


@contextmanager
def served(folder: Path, port: int, console_port: int) -> Iterator[Minio]:
    command = [built(), "server", folder, "--quiet", "--address", f"127.0.0.1:{port}"]
    command += ["--console-address", f"127.0.0.1:{console_port}"]
    environment = os.environ | {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET, "MINIO_BROWSER": "off"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert server.poll() is None, "MinIO ended"
            assert time.monotonic() < until, "MinIO does not listen"
            time.sleep(0.1)
        files = fs.S3FileSystem(
            access_key=KEY, secret_key=SECRET, endpoint_override=f"127.0.0.1:{port}", scheme="http",
            region="us-east-1", allow_bucket_creation=True,
        )  # fmt: skip
        yield Minio(port, files)
    finally:
        server.terminate()
        server.wait()
