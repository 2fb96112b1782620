"""A checked search by one caller, as the reader hands it to Milvus."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput
from lakehouse.index.lexical import FUSION_DEPTH
from lakehouse.index.passages import MAX_K, EngineMode
from lakehouse.index.permission_filter import readable_chunks
from lakehouse.index.search_filters import SearchFilters


@dataclass(frozen=True)
class SearchRequest:
    """A checked search by one caller. `collection` None: the live collection."""

    tenant_id: str
    allowed_keys: tuple[str, ...]
    words: str
    vector: list[float]
    k: int
    collection: str | None
    filters: SearchFilters | None = None

    @property
    def readable(self) -> str:
        """The filter for the chunks that the caller may read and that meet the filters."""
        return readable_chunks(self.tenant_id, self.allowed_keys, self.filters)

    @property
    def depth(self) -> int:
        """Passages of each ranking that are fused."""
        return max(self.k, FUSION_DEPTH)


def check_search(tenant_id: str, mode: str, vector: np.ndarray | None, k: int) -> None:
    """Raise `InvalidInput` for a search that is impossible whatever the index holds."""
    check_tenant(tenant_id)
    if mode not in get_args(EngineMode):
        raise InvalidInput(f"mode={mode!r}: must be one of {', '.join(get_args(EngineMode))}. Choose one of them.")
    if not 1 <= k <= MAX_K:
        raise InvalidInput(f"k={k!r}: must be 1 to {MAX_K}. Ask for fewer passages, or split the question.")
    if vector is None and mode != "lexical":
        raise InvalidInput(f"mode={mode!r}: needs the embedded query. Pass `vector`, or search by mode 'lexical'.")


def numbers(vector: np.ndarray | None) -> list[float]:
    """The vector as Milvus takes it; empty for None."""
    return [] if vector is None else np.asarray(vector, dtype=np.float32).tolist()
