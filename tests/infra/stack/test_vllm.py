"""The command of the local vLLM replica fits the settings and the machine."""

import pytest

from infra.stack import vllm
from infra.stack.vllm import prepare_llm, vllm_command, vllm_environment
from lakehouse.settings import BUNDLED_LLM, Settings


def after(option, command):
    return command[command.index(option) + 1]


@pytest.fixture
def prepared(tmp_path):
    """Settings whose cache holds a converted model already."""
    folder = tmp_path / "models" / BUNDLED_LLM
    folder.mkdir(parents=True)
    return Settings(cache=tmp_path, llm_base_url="http://127.0.0.1:8123/v1")


def test_the_replica_listens_where_the_settings_say(prepared):
    command = vllm_command(prepared)
    assert after("--model", command) == str(prepared.cache / "models" / BUNDLED_LLM) == str(prepare_llm(prepared))
    assert after("--served-model-name", command) == BUNDLED_LLM
    assert (after("--host", command), after("--port", command)) == ("127.0.0.1", "8123")
    assert {"--enforce-eager", "--enable-prompt-tokens-details"} < set(command)


@pytest.mark.parametrize(
    ("flags", "dtype"), [("fpu avx2 avx512f", "float32"), ("avx512f avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16")]
)
def test_bfloat16_is_used_where_the_processor_multiplies_it(prepared, monkeypatch, flags, dtype):
    monkeypatch.setattr(vllm, "_cpu_flags", lambda: set(flags.split()))
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
