"""Documents as their chunks in order, within a caller's rights. From the lakehouse: the index knows no order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.access.permissions import Caller, acl_directory
from lakehouse.errors import NotFound
from lakehouse.index.passages import Passage
from lakehouse.index.search_filters import FILTER_COLUMNS, SearchFilters
from lakehouse.settings import Settings
from lakehouse.storage.delta import Filter, read_rows
from lakehouse.tables import CHUNKS
from lakehouse.text.names import HEADING_JOINT

_SHOWN = ("chunk_id", "doc_id", "source", "title", "heading_path", "text", "uri")
_PLACE = ("doc_id", "position", "acl_key")
_COLUMNS = (*_SHOWN, "position", "acl_key", *FILTER_COLUMNS)


@dataclass(frozen=True)
class PlacedPassage:
    """A passage and its `number` among its document's chunks, from 1."""

    passage: Passage
    number: int


@dataclass(frozen=True)
class Surroundings:
    """A passage in its document, with its neighbours in order. `chunks`: how many of them all the caller may read."""

    here: PlacedPassage
    chunks: int
    before: tuple[PlacedPassage, ...]
    after: tuple[PlacedPassage, ...]


def chunks_of(
    settings: Settings, caller: Caller, filters: SearchFilters | None, where: Sequence[Filter]
) -> list[Passage]:
    """The chunks that meet `where`, the filters and the caller's rights, by document and place in it.

    Raises NotFound for an unknown tenant.
    """
    rows = _readable(settings, caller, where)
    return [_passage(row) for row in rows if not filters or filters.match(row)]


def beginnings(
    settings: Settings, caller: Caller, filters: SearchFilters | None, doc_ids: Sequence[str]
) -> list[Passage]:
    """The first chunk of each document that the caller may read, in the order of `doc_ids`."""
    where: list[Filter] = [("doc_id", "in", list(doc_ids)), ("position", "=", 0)]
    first = {passage.doc_id: passage for passage in chunks_of(settings, caller, filters, where)}
    return [first[doc_id] for doc_id in doc_ids if doc_id in first]


def surroundings(settings: Settings, caller: Caller, chunk_id: str, around: int) -> Surroundings:
    """A chunk with up to `around` chunks of its document on each side.

    Raises one and the same NotFound for a chunk that does not exist and for one that the caller may not read.
    """
    found = _readable(settings, caller, [("chunk_id", "=", chunk_id)])
    if not found:
        raise NotFound(
            f"passage {chunk_id[:80]!r}: none of that id that this caller may read. A changed document gets other ids: "
            "search or ask again."
        )
    here = _placed(found[0])
    document: list[Filter] = [("source", "=", here.passage.source), ("doc_id", "=", here.passage.doc_id)]
    place = found[0]["position"]
    nearby: list[Filter] = [("position", ">=", place - around), ("position", "<=", place + around)]
    near = [_placed(row) for row in _readable(settings, caller, [*document, *nearby])] if around else []
    return Surroundings(
        here,
        chunks=len(_readable(settings, caller, document, _PLACE)),
        before=tuple(one for one in near if one.number < here.number),
        after=tuple(one for one in near if one.number > here.number),
    )


def _readable(
    settings: Settings, caller: Caller, where: Sequence[Filter], columns: Sequence[str] = _COLUMNS
) -> list[dict[str, Any]]:
    """The rows that meet `where` and the caller's rights, by document and place in it."""
    rows = read_rows(settings, CHUNKS, where=[("tenant_id", "=", caller.tenant_id), *where], columns=columns)
    allowed = set(acl_directory(settings).allowed_keys(caller.tenant_id, caller.groups))
    return sorted((row for row in rows if row["acl_key"] in allowed), key=lambda row: (row["doc_id"], row["position"]))


def _placed(row: dict[str, Any]) -> PlacedPassage:
    return PlacedPassage(_passage(row), row["position"] + 1)


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
        document_type=row["document_type"] or None,
        author=row["author"] or None,
        updated_at=row["updated_at"],
    )
