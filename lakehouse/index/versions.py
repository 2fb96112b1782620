"""Versions of a tenant's index: the collections, the embedding model of each, and which collection is live.

Milvus knows the collection behind an alias, but not its embedding model (milvus-lite forgets a collection's
description). So `ops.index_versions` holds the model, written before the alias moves. A new version never gets the name
of an earlier one, so callers may cache the model of a collection.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from lakehouse.errors import Unavailable
from lakehouse.index.layout import LAYOUT, alias_name, version_of
from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows, upsert
from lakehouse.tables import INDEX_VERSIONS

State = Literal["building", "live", "retired", "dropped"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Version:
    """One collection of one tenant; the fields are the columns of `ops.index_versions`."""

    tenant_id: str
    collection: str
    embedding_model: str
    dimension: int
    created_at: datetime
    run_id: str | None = None
    state: State = "building"
    chunks: int | None = None
    recall: float | None = None
    live_from: datetime | None = None
    layout: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether this release built it: its columns and its search text are those that searches expect."""
        return self.layout == LAYOUT

    @property
    def number(self) -> int:
        """The version's number, from 1."""
        return version_of(self.tenant_id, self.collection) or 0

    def gone_live(self, run_id: str | None, chunks: int, recall: float | None) -> "Version":
        """This version as the live one, from now."""
        return replace(self, state="live", run_id=run_id, chunks=chunks, recall=recall, live_from=datetime.now(UTC))


def versions(settings: Settings, tenant_id: str) -> list[Version]:
    """All versions of a tenant, oldest first."""
    rows = read_rows(settings, INDEX_VERSIONS, [("tenant_id", "=", tenant_id)])
    known = [Version(**{n: value for n, value in row.items() if n != "alias" and value is not None}) for row in rows]
    return sorted(known, key=lambda version: version.number)


def live_version(settings: Settings, tenant_id: str) -> Version | None:
    """The version that searches read; None while the tenant has no live version."""
    return next((version for version in reversed(versions(settings, tenant_id)) if version.state == "live"), None)


def recorded_version(settings: Settings, tenant_id: str, collection: str) -> Version:
    """The version of a collection, with its embedding model. `Unavailable` when none is recorded."""
    for version in versions(settings, tenant_id):
        if version.collection == collection:
            return version
    raise Unavailable(
        "index",
        f"collection {collection!r} of tenant {tenant_id!r} has no row in ops.index_versions, so its embedding "
        f"model is unknown. Run `lakehop reconcile --tenant {tenant_id}`.",
    )


def tenant_model(settings: Settings, tenant_id: str) -> str:
    """The embedding model of the tenant: of its live version, or of the setting for a new tenant."""
    live = live_version(settings, tenant_id)
    return live.embedding_model if live else settings.embedding_model


def save(settings: Settings, *changed: Version) -> None:
    """Write versions in one commit, each in place of the version with the same collection."""
    rows = [asdict(version) | {"alias": alias_name(version.tenant_id)} for version in changed]
    upsert(settings, INDEX_VERSIONS, rows)
