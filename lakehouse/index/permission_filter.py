"""How permissions are enforced: every search filters by tenant and by the keys that the caller may read, inside Milvus.

A forbidden chunk is neither returned nor does it push an allowed chunk out. The collection belongs to one tenant; the
filter by `tenant_id` is the second lock. All filters on tenants, keys and ids are written here, because user text must
not end a literal.
"""

import sys
from collections.abc import Iterable, Iterator
from itertools import batched

from lakehouse.index.search_filters import UNKNOWN_TIME, SearchFilters

# Both servers read all other control characters as they are.
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def readable_chunks(tenant_id: str, allowed_keys: Iterable[str], filters: SearchFilters | None = None) -> str:
    """The filter for chunks of the tenant whose `acl_key` is allowed; no allowed key matches no chunk."""
    conditions = [tenant_chunks(tenant_id), any_of("acl_key", allowed_keys), *_conditions(filters or SearchFilters())]
    return " and ".join(conditions)


def _conditions(filters: SearchFilters) -> Iterator[str]:
    for column in ("source", "document_type", "author"):
        if values := getattr(filters, column):
            yield any_of(column, values)
    first, end = filters.times
    if first is not None:
        yield f"updated_at >= {first}"
    if end is not None:
        yield f"updated_at > {UNKNOWN_TIME} and updated_at < {end}"
    if filters.path is not None:
        yield beginning(filters.path_column, filters.path)


def beginning(column: str, start: str) -> str:
    """The condition that a column begins with a text. Not by LIKE, in which `%` and `_` of the text are patterns."""
    condition = f"{column} >= {literal(start)}"
    kept = start.rstrip(chr(sys.maxunicode))
    if not kept:
        return condition
    after = ord(kept[-1]) + 1
    end = kept[:-1] + chr(0xE000 if 0xD800 <= after < 0xE000 else after)  # surrogates are no characters
    return f"{condition} and {column} < {literal(end)}"


def tenant_chunks(tenant_id: str) -> str:
    """The filter for all chunks of the tenant."""
    return f"tenant_id == {literal(tenant_id)}"


def document_filters(tenant_id: str, source: str | None, doc_ids: Iterable[str], batch_size: int) -> Iterator[str]:
    """Filters for all chunks of these documents, a filter a batch of ids.

    No `doc_ids`: of all the tenant's documents; `source` None: of any source.
    """
    of_source = tenant_chunks(tenant_id) + ("" if source is None else f" and source == {literal(source)}")
    batches = [*batched(doc_ids, batch_size)]
    if not batches:
        yield of_source
    for batch in batches:
        yield f"{of_source} and {any_of('doc_id', batch)}"


def chunk_id_range(first: str, end: str) -> str:
    """The filter for `first` <= chunk_id < `end`; empty `end`: no upper bound."""
    return f"chunk_id >= {literal(first)}" + (f" and chunk_id < {literal(end)}" if end else "")


def any_of(column: str, values: Iterable[str]) -> str:
    """The condition that a column has one of these values."""
    return f"{column} in {literals(values)}"


def literal(text: str) -> str:
    """A text as a string literal of a Milvus filter, escaped, so that it cannot end the literal and add a condition."""
    return f'"{text.translate(_ESCAPES)}"'


def literals(texts: Iterable[str]) -> str:
    """Texts as a list literal of a Milvus filter."""
    return f"[{', '.join(literal(text) for text in texts)}]"
