"""The reranker: an optional cross-encoder that orders the best passages of a search.

It gets only passages that the caller may read. It reads question and passage together, on this machine and without
cost. A model of the fleet can rerank too, but costs money: `agents.task.reranking` calls it, where money is counted. No
reranker is set by default, because it takes time in every search.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.errors import InvalidInput
from lakehouse.index.embedding import embedded_text
from lakehouse.index.passages import Passage

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

RERANKED = 20
"""Passages that the reranker reads, or k if k is larger."""
_CPU_BATCH = 4


class Reranker:
    """One cross-encoder on the CPU, safe to share between threads; build it with `load_reranker`."""

    def __init__(self, model: "CrossEncoder") -> None:
        self._model = model
        self._lock = threading.Lock()  # the tokenizer refuses a second thread while one uses it

    def best(self, query: str, passages: Sequence[Passage], k: int) -> list[Passage]:
        """The k passages that the model scores highest, best first; `score` is then the model's."""
        if not passages:
            return []
        pairs = [(query, embedded_text(passage.title, [passage.heading], passage.text)) for passage in passages]
        with self._lock:
            scores = self._model.predict(pairs, batch_size=_CPU_BATCH, show_progress_bar=False)
        order = np.argsort(-np.asarray(scores), kind="stable")[:k]
        return [replace(passages[place], score=float(scores[place])) for place in order]


@lru_cache(maxsize=2)
def load_reranker(model: str) -> Reranker:
    """Load a cross-encoder once a process: a folder, or an id in the model cache; never from the network.

    `InvalidInput` when the model is not here, or gives more than one number for a pair.
    """
    from sentence_transformers import CrossEncoder

    try:
        loaded = CrossEncoder(model, device="cpu", local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"reranker {model!r}: {error}. Set LAKEHOP_RERANKER to a folder that holds a cross-encoder, to `llm` or to "
            "nothing."
        ) from None
    if loaded.num_labels != 1:
        raise InvalidInput(
            f"reranker {model!r}: gives {loaded.num_labels} numbers for a question and a passage, and must give one. "
            "Set LAKEHOP_RERANKER to a cross-encoder that was trained to rank."
        )
    return Reranker(loaded)
