"""`lakehop compile`: run the compiler as a separate process, because it loads DSPy and belongs to `agents`."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from infra.stack.processes import child_environment
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.settings import PROJECT_ROOT, Settings


def compile_program(
    settings: Settings,
    program: str,
    optimizer: str,
    questions: Path,
    test_questions: Path | None,
    tenant: str,
    groups: Sequence[str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Run `python -m agents.compile`; pass its log to `progress` and return its JSON document.

    Raises InvalidInput when the compiler reports wrong usage, else LakehopError with its last line when it fails.
    """
    command = [sys.executable, "-m", "agents.compile", f"--program={program}", f"--optimizer={optimizer}"]
    command += [f"--questions={questions.resolve()}", f"--tenant={tenant}"]
    command += [f"--group={group}" for group in groups]
    if test_questions:
        command.append(f"--test-questions={test_questions.resolve()}")
    with subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as compiler:
        last_line = ""
        for line in compiler.stderr or ():
            last_line = line.rstrip() or last_line
            progress(line.rstrip())
        output = compiler.stdout.read() if compiler.stdout else ""
    if compiler.returncode:
        error_class = InvalidInput if compiler.returncode == 2 else LakehopError
        raise error_class(f"compile {program!r} with {optimizer!r} failed ({compiler.returncode}): {last_line}")
    document: dict[str, Any] = json.loads(output)
    return document
