"""`python -m infra.stack.vllm`: prepare the model, then become the vLLM replica of the local stack.

One process with one id: converting a model takes 15 s and a gigabyte the first time, which `lakehop up` neither waits
for nor holds, and the process that it started is the one that serves.
"""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from infra.stack.wheel_models import WHEEL_MODELS, convert_once
from lakehouse.settings import Settings, load_settings

CONTEXT_TOKENS = 4096  # half of what the model was trained on: the programs read a few passages at a time


def prepare_llm(settings: Settings) -> Path:
    """The folder or id that vLLM loads. A model from wheels is converted at the first call.

    Raises `SettingsError` as `convert_once` does.
    """
    name = settings.llm_model
    return convert_once(name, settings.cache / "models") if name in WHEEL_MODELS else Path(name)


def vllm_command(settings: Settings) -> list[str]:
    """The command that starts one replica where `llm_base_url` points; converts the model first if needed."""
    address = urlsplit(settings.llm_base_url)
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(prepare_llm(settings)), "--served-model-name", settings.llm_model]
    command += ["--host", address.hostname or "127.0.0.1", "--port", str(address.port or 80)]
    command += ["--dtype", "bfloat16" if _cpu_multiplies_bfloat16() else "float32"]
    command += ["--max-model-len", str(CONTEXT_TOKENS), "--max-num-seqs", "16"]
    command += ["--enforce-eager"]  # compiling the graph takes minutes and gains little at this size
    command += ["--enable-prompt-tokens-details"]  # cached tokens have their own price
    command += ["--distributed-executor-backend", "uni"]  # see vllm_environment
    return command


def vllm_environment(settings: Settings) -> dict[str, str]:
    """Variables to add to the replica's environment."""
    variables = {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB: 46,000 tokens of the bundled model
        # The engine runs the model itself: a worker process of its own takes 25 s and 1 GB more to start.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        # One core stays free for the rest of the stack: two threads that wait for each other on two busy cores took
        # 20 s for 40 tokens, one thread took 1 s.
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1)),
        "VLLM_NO_USAGE_STATS": "1",
    }
    if Path(prepare_llm(settings)).exists():
        variables["HF_HUB_OFFLINE"] = "1"
    if settings.llm_api_key.get_secret_value():
        variables["VLLM_API_KEY"] = settings.llm_api_key.get_secret_value()
    return variables


def _cpu_multiplies_bfloat16() -> bool:
    """Whether the processor has bfloat16 instructions; without them float32 is six times faster."""
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpu_flags() -> set[str]:
    """The processor's features by Linux's names; empty on another system."""
    try:
        return set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return set()


def main() -> None:
    """Replace this process by vLLM; does not return."""
    settings = load_settings()
    command = vllm_command(settings)
    os.execvpe(command[0], command, {**os.environ, **vllm_environment(settings)})  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    main()
