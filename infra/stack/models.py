"""The vLLM replica of the local stack: what it loads, and how it is started."""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from infra.stack.carried_models import CARRIED, converted
from lakehouse.settings import Settings

CONTEXT_TOKENS = 4096  # half of what the model was trained on: the programs read a few passages at a time


def prepare_llm(settings: Settings) -> Path:
    """What vLLM should load: a model that wheels carry, converted at the first call, or `llm_model` itself, a local
    folder or an id that vLLM fetches. Raises `SettingsError` as `converted` does."""
    name = settings.llm_model
    return converted(name, settings.cache / "models") if name in CARRIED else Path(name)


def vllm_command(settings: Settings) -> list[str]:
    """The command that starts one replica where `llm_base_url` points; converts the model first if need be."""
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
        # One core is left to the rest of the stack. Threads that wait for each other on a busy core are ruinous:
        # two threads on two busy cores took 20 s for 40 tokens, one thread 1 s.
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) - 1)),
        "VLLM_NO_USAGE_STATS": "1",
    }
    if Path(prepare_llm(settings)).exists():
        variables["HF_HUB_OFFLINE"] = "1"
    if settings.llm_api_key.get_secret_value():
        variables["VLLM_API_KEY"] = settings.llm_api_key.get_secret_value()
    return variables


def _cpu_multiplies_bfloat16() -> bool:
    """Whether bfloat16 is fast here; without such instructions float32 is six times faster."""
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpu_flags() -> set[str]:
    """What the processor can do, as Linux names it; nothing where nobody says."""
    try:
        return set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return set()
