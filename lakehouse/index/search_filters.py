"""What a search may be narrowed to: sources, types, authors, dates and paths of documents.

A filter is a condition beside the permissions, never in their place: `lakehouse.index.permission_filter` joins both.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakehouse.errors import InvalidInput

FILTER_COLUMNS = ("document_type", "author", "updated_at")
"""Columns that only filters read; an unknown text is empty. Collections of earlier releases lack them."""
UNKNOWN_TIME = -1_000_000_000_000
"""`updated_at` of a document without a date: before every date of the years 1 to 9999, in seconds since 1970."""
MAX_VALUES = 100
"""Of one list."""
MAX_CHARACTERS = 1_024
"""Of one value; ids of documents have no more."""
_LISTS = ("source", "document_type", "author")


@dataclass(frozen=True)
class SearchFilters:
    """Documents that a search may return. A field left out narrows nothing; of a list, any value may be met.

    `updated_after` is inclusive, `updated_before` exclusive, UTC where no zone is given; a document without a date
    meets neither. `path`: how the document's id begins, e.g. `hr/`; with `://` in it, how its address begins.
    Raises `InvalidInput` for an empty or too long value or list.
    """

    source: tuple[str, ...] = ()
    document_type: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        types = tuple(name.strip().lower().removeprefix(".") for name in self.document_type)
        object.__setattr__(self, "document_type", types)
        object.__setattr__(self, "author", tuple(" ".join(name.split()) for name in self.author))
        for name in ("updated_after", "updated_before"):
            if moment := getattr(self, name):
                object.__setattr__(self, name, _aware(moment))
        for name in _LISTS:
            values = getattr(self, name)
            if len(values) > MAX_VALUES:
                raise InvalidInput(f"filter {name}: {len(values)} values, at most {MAX_VALUES}. Name fewer.")
            for value in values:
                _check_text(name, value)
        if self.path is not None:
            _check_text("path", self.path)
        after, before = self.updated_after, self.updated_before
        if after and before and _seconds(after) >= _seconds(before):
            raise InvalidInput(
                f"filters updated_after={after.isoformat()!r} and updated_before={before.isoformat()!r}: no time is in "
                "between. Give updated_before a later one."
            )

    def __bool__(self) -> bool:
        return self != SearchFilters()

    @property
    def columns(self) -> Collection[str]:
        """The columns of `FILTER_COLUMNS` that the filters read."""
        read = {"updated_at"} if self.updated_after or self.updated_before else set()
        return read | {name for name in FILTER_COLUMNS if getattr(self, name, ())}

    @property
    def times(self) -> tuple[int | None, int | None]:
        """The first second that is allowed, and the first that is not; None: no bound."""
        return (
            None if self.updated_after is None else _seconds(self.updated_after),
            None if self.updated_before is None else _seconds(self.updated_before),
        )

    @property
    def path_column(self) -> str:
        """The column that `path` is the beginning of."""
        return "uri" if "://" in (self.path or "") else "doc_id"

    def match(self, row: Mapping[str, Any]) -> bool:
        """Whether a row of `silver.chunks` meets the filters, as Milvus decides it for its own rows."""
        if any(getattr(self, name) and row[name] not in getattr(self, name) for name in _LISTS):
            return False
        if self.path is not None and not row[self.path_column].startswith(self.path):
            return False
        (first, end), moment = self.times, index_time(row["updated_at"])
        return (first is None or moment >= first) and (end is None or UNKNOWN_TIME < moment < end)


def index_time(moment: datetime | None) -> int:
    """A time as the index holds it: whole seconds since 1970, UTC; `UNKNOWN_TIME` for None."""
    return UNKNOWN_TIME if moment is None else math.floor(_aware(moment).timestamp())


def time_of(seconds: int) -> datetime | None:
    """The time of `index_time`."""
    return None if seconds == UNKNOWN_TIME else datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime) -> int:
    return math.ceil(_aware(moment).timestamp())


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_text(name: str, value: str) -> None:
    if not value or len(value) > MAX_CHARACTERS or "\0" in value:
        raise InvalidInput(
            f"filter {name}={value[:40]!r}: must be 1 to {MAX_CHARACTERS} characters without NUL. Leave the filter out "
            "to search everything."
        )
