"""The language model: its endpoint, what it can do, its prices."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from lakehouse.settings.base import PROJECT_ROOT, HttpUrl, SettingsGroup

BUNDLED_LLM = "SmolLM2-135M-Instruct"


class ModelSettings(SettingsGroup, frozen=True):
    """The language model: its endpoint, what it can do, its prices."""

    llm_base_url: HttpUrl = Field("http://127.0.0.1:8001/v1", description="Any OpenAI-compatible endpoint.")
    llm_model: str = Field(BUNDLED_LLM, description="Model name as that endpoint knows it.")
    llm_api_key: SecretStr = Field(SecretStr(""), description="Bearer key for that endpoint; empty: none.")
    llm_dialect: Literal["vllm", "openai"] = Field(
        "vllm",
        description="`vllm`: answers are held to grammars and counted as they stream; `openai`: nothing but OpenAI's.",
    )
    llm_reads: int = Field(
        0,
        ge=0,
        le=5,
        description="Passages that `multihop` has it read in one call at most; 0: 1 for the bundled model, which mixes "
        "them up, and 3 for others.",
    )
    llm_timeout_s: float = Field(60, gt=0, description="Seconds for one model call.")
    prices_file: Path = Field(
        PROJECT_ROOT / "lakehouse" / "costs" / "prices.toml", description="Prices per million tokens, by date."
    )

    @property
    def passages_at_once(self) -> int:
        """How many passages a program has the model read in one call at most."""
        return self.llm_reads or (1 if self.llm_model == BUNDLED_LLM else 3)
