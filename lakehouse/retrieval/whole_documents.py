"""Documents as their chunks in order, within a caller's rights. From the lakehouse: the index knows no order."""

from collections.abc import Sequence
from typing import Any

from lakehouse.access.permissions import Caller, acl_directory
from lakehouse.index.passages import Passage
from lakehouse.index.search_filters import FILTER_COLUMNS, SearchFilters
from lakehouse.settings import Settings
from lakehouse.storage.delta import Filter, read_rows
from lakehouse.tables import CHUNKS
from lakehouse.text.names import HEADING_JOINT

_SHOWN = ("chunk_id", "doc_id", "source", "title", "heading_path", "text", "uri")
_COLUMNS = (*_SHOWN, "position", "acl_key", *FILTER_COLUMNS)


def chunks_of(
    settings: Settings, caller: Caller, filters: SearchFilters | None, where: Sequence[Filter]
) -> list[Passage]:
    """The chunks that meet `where`, the filters and the caller's rights, by document and place in it.

    Raises NotFound for an unknown tenant.
    """
    rows = read_rows(settings, CHUNKS, where=[("tenant_id", "=", caller.tenant_id), *where], columns=_COLUMNS)
    allowed = set(acl_directory(settings).allowed_keys(caller.tenant_id, caller.groups))
    readable = (row for row in rows if row["acl_key"] in allowed and (not filters or filters.match(row)))
    return [_passage(row) for row in sorted(readable, key=lambda row: (row["doc_id"], row["position"]))]


def beginnings(
    settings: Settings, caller: Caller, filters: SearchFilters | None, doc_ids: Sequence[str]
) -> list[Passage]:
    """The first chunk of each document that the caller may read, in the order of `doc_ids`."""
    where: list[Filter] = [("doc_id", "in", list(doc_ids)), ("position", "=", 0)]
    first = {passage.doc_id: passage for passage in chunks_of(settings, caller, filters, where)}
    return [first[doc_id] for doc_id in doc_ids if doc_id in first]


def _passage(row: dict[str, Any]) -> Passage:
    return Passage(
        chunk_id=row["chunk_id"],
        doc_id=row["doc_id"],
        title=row["title"],
        heading=HEADING_JOINT.join(row["heading_path"]),
        text=row["text"],
        uri=row["uri"],
        source=row["source"],
        score=1.0,
    )
