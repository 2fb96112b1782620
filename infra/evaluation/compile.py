"""`lakehop compile`: run the compiler as a process of its own, for it loads DSPy and belongs to `agents`."""

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
    """Run `python -m agents.compile`; its log goes to `progress`, its JSON document comes back.

    Raises `LakehopError` with the compiler's last line when it fails, `InvalidInput` where it says wrong usage.
    """
    command = [sys.executable, "-m", "agents.compile", f"--program={program}", f"--optimizer={optimizer}"]
    command += [f"--questions={questions.resolve()}", f"--tenant={tenant}", f"--groups={','.join(groups)}"]
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
        last = ""
        for line in compiler.stderr or ():
            last = line.rstrip() or last
            progress(line.rstrip())
        output = compiler.stdout.read() if compiler.stdout else ""
    if compiler.returncode:
        kind = InvalidInput if compiler.returncode == 2 else LakehopError
        raise kind(f"compile {program!r} with {optimizer!r} failed ({compiler.returncode}): {last}")
    document: dict[str, Any] = json.loads(output)
    return document
