"""Compiled programs of a tenant: which versions there are, which one answers, and for whom.

A version quotes documents in its demonstrations. So it belongs to the tenant whose documents they are, answers only
those who may now read every document that it quotes, and goes when one of these is forgotten; everybody else is
answered by the program as it ships. `ops.agent_programs` says what is live and why, `silver.compiled_programs` holds
what is loaded.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lakehouse.access.permissions import AclDirectory, Caller, check_tenant
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import Filter, ensure_tables, read_rows, upsert
from lakehouse.tables import AGENT_PROGRAMS, CHUNKS, COMPILED_PROGRAMS

SHIPPED = "shipped"
"""In place of a version: the program as it comes with Lakehop."""
_AGE_S = 5.0  # how long a gateway goes on with what it read


@dataclass(frozen=True)
class CompiledProgram:
    """What DSPy saved of one version, as JSON, and the documents that it quotes, as pairs of source and id."""

    version: str
    state: str
    documents: frozenset[tuple[str, str]]


class ProgramRegistry:
    """The versions of all tenants' programs; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._acl = AclDirectory(settings)
        self._lock = threading.Lock()
        self._read: dict[tuple[str, str], tuple[float, CompiledProgram | None, frozenset[str]]] = {}

    def add(self, row: dict[str, Any], state: str, documents: Iterable[tuple[str, str]]) -> None:
        """Keep a version: `row` of `ops.agent_programs`, which replaces the live one where its own `live` says so."""
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
        """Rows of `ops.agent_programs`, the newest first."""
        where: list[Filter] = [("tenant_id", "=", check_tenant(tenant_id))]
        if program:
            where.append(("program", "=", program))
        return sorted(read_rows(self._settings, AGENT_PROGRAMS, where), key=lambda row: row["created_at"], reverse=True)

    def use(self, tenant_id: str, program: str, version: str) -> dict[str, Any]:
        """Let a kept version answer from now on, or the shipped program. Raises InvalidInput for one that is not kept.

        A gateway that runs follows within five seconds.
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
        """Source and id of these documents; of one that is gone, a source that nobody may read."""
        acl_keys = self._acl_keys(tenant_id, doc_ids)
        gone = set(doc_ids) - {doc_id for _, doc_id in acl_keys}
        return acl_keys.keys() | {("", doc_id) for doc_id in gone}

    def _live(self, tenant_id: str, program: str) -> tuple[CompiledProgram | None, frozenset[str]]:
        key = (tenant_id, program)
        with self._lock:
            read_at, compiled, acl_keys = self._read.get(key, (float("-inf"), None, frozenset[str]()))
        if time.monotonic() - read_at >= _AGE_S:
            now = time.monotonic()
            compiled, acl_keys = self._read_live(tenant_id, program)
            with self._lock:
                self._read[key] = (now, compiled, acl_keys)
        return compiled, acl_keys

    def _read_live(self, tenant_id: str, program: str) -> tuple[CompiledProgram | None, frozenset[str]]:
        live = next((row["version"] for row in self.versions(tenant_id, program) if row["live"]), None)
        compiled = self._stored(tenant_id, program, live) if live else None
        if not compiled:
            return None, frozenset()
        keys = self._acl_keys(tenant_id, {doc_id for _, doc_id in compiled.documents})
        if not compiled.documents <= keys.keys():
            return None, frozenset()  # who might read a document that is gone, nobody knows
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
    """The rows that are live and no longer will be."""
    return [row | {"live": False, "why": f"replaced by {by}"} for row in rows if row["live"] and row["version"] != by]
