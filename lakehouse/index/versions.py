"""Which Milvus collections a tenant has had, by which model each was embedded, and which one is live.

Milvus knows which collection an alias points at; it keeps no note of the embedding model (milvus-lite forgets a
collection's description). So the model stands in `ops.index_versions`, written before the alias moves. A collection's
name is never used again: who has read its model once may keep it.
"""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from lakehouse.errors import Unavailable
from lakehouse.index.layout import alias_name, version_of
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

    @property
    def number(self) -> int:
        """Which of the tenant's it is, from 1."""
        return version_of(self.tenant_id, self.collection) or 0

    def gone_live(self, run_id: str | None, chunks: int, recall: float | None) -> "Version":
        """The same, as of now what searches read."""
        return replace(self, state="live", run_id=run_id, chunks=chunks, recall=recall, live_from=datetime.now(UTC))


def versions(settings: Settings, tenant_id: str) -> list[Version]:
    """All versions of a tenant, the oldest first."""
    rows = read_rows(settings, INDEX_VERSIONS, [("tenant_id", "=", tenant_id)])
    found = [Version(**{n: value for n, value in row.items() if n != "alias" and value is not None}) for row in rows]
    return sorted(found, key=lambda version: version.number)


def live_version(settings: Settings, tenant_id: str) -> Version | None:
    """The version that searches read; None while the tenant has none."""
    return next((version for version in reversed(versions(settings, tenant_id)) if version.state == "live"), None)


def model_of(settings: Settings, tenant_id: str, collection: str) -> str:
    """The embedding model of a collection. `Unavailable` when nobody has noted it."""
    for version in versions(settings, tenant_id):
        if version.collection == collection:
            return version.embedding_model
    raise Unavailable(
        "index",
        f"collection {collection!r} of tenant {tenant_id!r} stands in no row of ops.index_versions, so its embedding "
        f"model is unknown. Run `lakehop reconcile --tenant {tenant_id}`.",
    )


def tenant_model(settings: Settings, tenant_id: str) -> str:
    """The model that the tenant's chunks are embedded by: its live version's, or the setting's for a new tenant."""
    live = live_version(settings, tenant_id)
    return live.embedding_model if live else settings.embedding_model


def save(settings: Settings, *changed: Version) -> None:
    """Write versions, each in place of the one of its name, in one commit."""
    rows = [asdict(version) | {"alias": alias_name(version.tenant_id)} for version in changed]
    upsert(settings, INDEX_VERSIONS, rows)
