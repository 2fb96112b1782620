"""Who may read what: tenants, group sets, and the key that stands for a group set.

A document names the groups that may read it. Filtering a search by a list of groups costs 146 to 1,200 ms, by one
key 7 to 23 ms; so every distinct group set of a tenant has one `acl_key`, the keys stand in `silver.acl_keys`, and
a caller's groups resolve to the keys that he may read. A group's name is literal text: `%`, `*` or a quote mean
themselves, whatever reads them later.
"""

import hashlib
import json
import re
import threading
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import ACL_KEYS

EVERYONE = "everyone"
MAX_GROUP_LENGTH = 128
# A key that a job adds is seen this late. Keys are never taken away, and a document that moves to another group
# set carries another key at once: being late hides a new document and never shows one.
DIRECTORY_AGE_S = 2.0
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def check_tenant(tenant_id: str) -> str:
    """The tenant id itself; `InvalidInput` when it is not one."""
    if not _TENANT.fullmatch(tenant_id):
        raise InvalidInput(
            f"tenant {tenant_id!r}: must be 1 to 63 of A-Z, a-z, 0-9, - and _, and begin with a letter or a digit. "
            "Choose such an id, and keep the display name elsewhere."
        )
    return tenant_id


def canonical_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """Group names stripped, without repeats and blanks, sorted; `InvalidInput` for one that cannot be a name."""
    if isinstance(groups, str):  # would otherwise become one group a letter
        raise InvalidInput(f"groups {groups!r}: must be a list of names. Put the name in a list.")
    names = {group.strip() for group in groups}
    for name in names:
        if len(name) > MAX_GROUP_LENGTH:
            raise InvalidInput(
                f"group {name[:20]!r}…: {len(name)} characters, at most {MAX_GROUP_LENGTH} allowed. Use a shorter name."
            )
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise InvalidInput(f"group {name!r}: control characters are not allowed. Take them out of the name.")
    return tuple(sorted(names - {""}))


def acl_key(groups: Iterable[str]) -> str:
    """The key of a group set: `everyone` (of the tenant) for none, else 32 hexadecimal digits of SHA-256.

    Injective up to a hash collision: JSON quotes what a bare separator would confuse (["a,b"] is not ["a", "b"]).
    """
    names = canonical_groups(groups)
    if not names:
        return EVERYONE
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Caller:
    """On whose behalf something runs: it decides what is read and who is charged."""

    tenant_id: str
    groups: tuple[str, ...]
    app: str
    key_id: str
    user_id: str | None = None


class AclDirectory:
    """The tenants' group sets, read from `silver.acl_keys`; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._sets: dict[str, tuple[float, dict[str, frozenset[str]]]] = {}

    def allowed_keys(self, tenant_id: str, groups: Iterable[str]) -> tuple[str, ...]:
        """Keys of the documents that a caller of this tenant with these groups may read, `everyone` first.

        A document is readable when it names no group, or at least one that the caller has.
        """
        mine = set(canonical_groups(groups))
        named = self._group_sets(check_tenant(tenant_id)) if mine else {}
        return (EVERYONE, *sorted(key for key, names in named.items() if names & mine))

    def _group_sets(self, tenant_id: str) -> dict[str, frozenset[str]]:
        with self._lock:
            read_at, sets = self._sets.get(tenant_id, (float("-inf"), {}))
        if time.monotonic() - read_at < DIRECTORY_AGE_S:
            return sets
        now = time.monotonic()
        rows = read_rows(
            self._settings, ACL_KEYS, where=[("tenant_id", "=", tenant_id)], columns=("acl_key", "acl_groups")
        )
        sets = {row["acl_key"]: frozenset(row["acl_groups"]) for row in rows}
        with self._lock:
            self._sets[tenant_id] = (now, sets)
        return sets
