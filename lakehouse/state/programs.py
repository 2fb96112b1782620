"""Registry of compiled programs: the versions of each tenant, and which version answers a caller.

A version quotes documents in its demonstrations. So it belongs to the tenant of these documents, answers only callers
who may read every quoted document, and is deleted when one of the documents is forgotten; other callers get the shipped
program. `ops.agent_programs` records which version is live and why, `silver.compiled_programs` holds the programs.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cachetools import TTLCache, cachedmethod

from lakehouse.access.permissions import Caller, acl_directory, check_tenant
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import Filter, ensure_tables, read_rows, upsert
from lakehouse.tables import AGENT_PROGRAMS, CHUNKS, COMPILED_PROGRAMS

SHIPPED = "shipped"
"""Version name of the program that comes with Lakehop."""
_AGE_S = 5.0  # a gateway answers with a retired version for this long at most
_MAX_LIVE = 1_024


@dataclass(frozen=True)
class CompiledProgram:
    """One version: `state` is DSPy's saved JSON, `documents` are the quoted documents as pairs of source and id."""

    version: str
    state: str
    documents: frozenset[tuple[str, str]]


class ProgramRegistry:
    """Versions of all tenants' programs. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._acl = acl_directory(settings)
        self._lock = threading.Lock()
        self._live_programs: TTLCache[tuple[str, str], tuple[CompiledProgram | None, frozenset[str]]] = TTLCache(
            _MAX_LIVE, _AGE_S
        )

    def add(self, row: dict[str, Any], state: str, documents: Iterable[tuple[str, str]]) -> None:
        """Store a version. `row`: of `ops.agent_programs`; if its `live` is true, it replaces the live version."""
        ensure_tables(self._settings)
        pairs = sorted(documents)
        stored = {name: row[name] for name in ("tenant_id", "program", "version", "created_at")} | {"state": state}
        lists = {"sources": [source for source, _ in pairs], "doc_ids": [doc_id for _, doc_id in pairs]}
        upsert(self._settings, COMPILED_PROGRAMS, [stored | lists])
        rows = [row]
        if row["live"]:
            rows += _retired(self.versions(row["tenant_id"], row["program"]), row["version"])
        upsert(self._settings, AGENT_PROGRAMS, rows)

    def versions(self, tenant_id: str, program: str | None = None) -> list[dict[str, Any]]:
        """Rows of `ops.agent_programs`, newest first."""
        where: list[Filter] = [("tenant_id", "=", check_tenant(tenant_id))]
        if program:
            where.append(("program", "=", program))
        return sorted(read_rows(self._settings, AGENT_PROGRAMS, where), key=lambda row: row["created_at"], reverse=True)

    def use(self, tenant_id: str, program: str, version: str) -> dict[str, Any]:
        """Make a stored version or the shipped program live. Raises InvalidInput for an unknown version.

        Running gateways follow within five seconds.
        """
        rows = {row["version"]: row for row in self.versions(tenant_id, program)}
        if version != SHIPPED and not (version in rows and self._stored(tenant_id, program, version)):
            kept = [known for known in rows if self._stored(tenant_id, program, known)]
            raise InvalidInput(
                f"version {version!r}: must be one of {', '.join([SHIPPED, *kept])}, which tenant {tenant_id!r} has "
                f"of {program!r}. `lakehop programs list --tenant {tenant_id}` shows them."
            )
        changed = _retired(rows.values(), version)
        if version != SHIPPED:
            why = f"chosen by an operator at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
            changed.append(rows[version] | {"live": True, "why": why})
        upsert(self._settings, AGENT_PROGRAMS, changed)
        return {"tenant": tenant_id, "program": program, "live": version}

    def answering(self, caller: Caller, program: str) -> CompiledProgram | None:
        """The version that answers this caller; None for the shipped program."""
        compiled, acl_keys = self._live(caller.tenant_id, program)
        if compiled and acl_keys.issubset(self._acl.allowed_keys(caller.tenant_id, caller.groups)):
            return compiled
        return None

    def documents(self, tenant_id: str, doc_ids: Iterable[str]) -> set[tuple[str, str]]:
        """Source and id of these documents; a deleted document gets a source that nobody may read."""
        acl_keys = self._acl_keys(tenant_id, doc_ids)
        gone = set(doc_ids) - {doc_id for _, doc_id in acl_keys}
        return acl_keys.keys() | {("", doc_id) for doc_id in gone}

    @cachedmethod(lambda self: self._live_programs, lock=lambda self: self._lock)
    def _live(self, tenant_id: str, program: str) -> tuple[CompiledProgram | None, frozenset[str]]:
        live = next((row["version"] for row in self.versions(tenant_id, program) if row["live"]), None)
        compiled = self._stored(tenant_id, program, live) if live else None
        if not compiled:
            return None, frozenset()
        keys = self._acl_keys(tenant_id, {doc_id for _, doc_id in compiled.documents})
        if not compiled.documents <= keys.keys():
            return None, frozenset()  # the readers of a deleted document are unknown: answer nobody
        return compiled, frozenset(keys[document] for document in compiled.documents)

    def _acl_keys(self, tenant_id: str, doc_ids: Iterable[str]) -> dict[tuple[str, str], str]:
        if not (wanted := sorted(set(doc_ids))):
            return {}
        where: list[Filter] = [("tenant_id", "=", tenant_id), ("doc_id", "in", wanted)]
        rows = read_rows(self._settings, CHUNKS, where, ("source", "doc_id", "acl_key"))
        return {(row["source"], row["doc_id"]): row["acl_key"] for row in rows}

    def _stored(self, tenant_id: str, program: str, version: str) -> CompiledProgram | None:
        where: list[Filter] = [("tenant_id", "=", tenant_id), ("program", "=", program), ("version", "=", version)]
        for row in read_rows(self._settings, COMPILED_PROGRAMS, where):
            return CompiledProgram(version, row["state"], frozenset(zip(row["sources"], row["doc_ids"], strict=True)))
        return None


def _retired(rows: Iterable[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """Live rows of other versions, marked as replaced."""
    return [row | {"live": False, "why": f"replaced by {by}"} for row in rows if row["live"] and row["version"] != by]
