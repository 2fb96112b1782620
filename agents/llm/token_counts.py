"""Our own count of tokens, for a model server that tells no usage or whose answer broke off before it.

A missing number must not count as zero: the bill would have holes, and caps would not hold.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lakehouse.index.embedding import load_tokenizer

PROMPT_OVERHEAD_BYTES = 64  # of the chat template, for each message
_TEMPLATE_TOKENS = 16  # of the chat template, for each message
COUNTED, ESTIMATED = "counted", "estimated"


class TokenCounter:
    """Counts by the model's tokenizer where the model is a folder that holds one, else a token for each byte of UTF-8.

    No tokenizer makes more tokens than there are bytes, so an estimate is never too low; of English it is some four
    times too high.
    """

    def __init__(self, model: str) -> None:
        is_here = (Path(model) / "tokenizer.json").is_file()
        self._tokenizer: Tokenizer | None = load_tokenizer(model) if is_here else None
        self.source = COUNTED if self._tokenizer else ESTIMATED

    def of_prompt(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Tokens of a prompt with its chat template."""
        if self._tokenizer is None:
            return prompt_bytes(messages)
        return sum(self._count(message["content"]) + _TEMPLATE_TOKENS for message in messages)

    def of_output(self, text: str, pieces: int, max_tokens: int) -> int:
        """Tokens of an answer that came in so many pieces; a server that keeps to the limit wrote no more than that."""
        return min(self._count(text), max(max_tokens, pieces))

    def _count(self, text: str) -> int:
        if self._tokenizer is None:
            return len(text.encode())
        encoded: Any = self._tokenizer.encode(text, add_special_tokens=False)
        return len(encoded.ids)


@lru_cache(maxsize=4)
def token_counter(model: str) -> TokenCounter:
    """The counter of a model; it reads the model's tokenizer once a process."""
    return TokenCounter(model)


def prompt_bytes(messages: Sequence[Mapping[str, str]]) -> int:
    """Bytes of a prompt with its chat template: the most tokens that it can have."""
    return sum(len(message["content"].encode()) + PROMPT_OVERHEAD_BYTES for message in messages)
