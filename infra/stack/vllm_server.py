"""`python -m infra.stack.vllm_server`: prepare the model, then become vLLM.

One process with one id: the first conversion of the model takes 15 s and a gigabyte, which `lakehop up` neither
waits for nor holds, and the process that it started is the one that serves.
"""

import os

from infra.stack.models import vllm_command, vllm_environment
from lakehouse.settings import load_settings


def main() -> None:
    """Replace this process by vLLM; returns never."""
    settings = load_settings()
    command = vllm_command(settings)
    os.execvpe(command[0], command, {**os.environ, **vllm_environment(settings)})  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main()
