"""Language model: its endpoint, dialect and prices."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from lakehouse.settings.base import PROJECT_ROOT, HttpUrl, SettingsGroup

BUNDLED_LLM = "SmolLM2-135M-Instruct"


class ModelSettings(SettingsGroup, frozen=True):
    """Language model: its endpoint, dialect and prices."""

    llm_base_url: HttpUrl = Field("http://127.0.0.1:8001/v1", description="Address of an OpenAI-compatible endpoint.")
    llm_model: str = Field(BUNDLED_LLM, description="Name of the model at that endpoint.")
    llm_api_key: SecretStr = Field(SecretStr(""), description="Bearer key for that endpoint. Empty: none.")
    llm_dialect: Literal["vllm", "openai"] = Field(
        "vllm",
        description="`vllm`: use vLLM's structured outputs and continuous usage statistics. `openai`: use OpenAI's "
        "API only.",
    )
    llm_reads: int = Field(
        0,
        ge=0,
        le=5,
        description="Most passages that the model reads in one call of `multihop`. 0: 1 for the bundled model, which "
        "confuses several passages, and 3 for other models.",
    )
    llm_writes: bool | None = Field(
        None,
        description="Whether the model writes explanations, steps, lists and comparisons from numbered passages; if "
        "not, pieces of the passages are the answer. Empty: no for the bundled model, and yes for other models.",
    )
    llm_timeout_s: float = Field(60, gt=0, description="Time limit of one model call, seconds.")
    prices_file: Path = Field(
        PROJECT_ROOT / "lakehouse" / "costs" / "prices.toml", description="File of prices per million tokens, by date."
    )

    @property
    def passages_at_once(self) -> int:
        """Most passages that a model reads in one call."""
        return self.llm_reads or (1 if self.llm_model == BUNDLED_LLM else 3)

    @property
    def writes_answers(self) -> bool:
        """Whether the model writes the forms of answers that no copied span gives."""
        return self.llm_model != BUNDLED_LLM if self.llm_writes is None else self.llm_writes
