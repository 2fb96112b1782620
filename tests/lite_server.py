"""`milvus-lite server` as the stack starts it, as a process that a test starts and stops."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lakehouse.settings import PROJECT_ROOT


@dataclass
class LiteServer:
    """`milvus-lite server` on loopback; its log stands beside its folder. `module`: the Python module to run."""

    folder: Path
    port: int
    module: tuple[str, ...] = ("infra.stack.milvus_lite_server",)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", *self.module, "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--data-dir", str(self.folder)]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}
        log_path = self.folder.with_suffix(".log")
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        give_up_at = time.monotonic() + 120
        # Wait for its log, not for a connection: another process might have taken the port.
        while b"server listening" not in log_path.read_bytes():
            assert self.process.poll() is None, f"milvus-lite ended: {log_path.read_text()}"
            assert time.monotonic() < give_up_at, f"milvus-lite does not listen: {log_path.read_text()}"
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
