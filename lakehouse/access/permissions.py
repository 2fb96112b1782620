"""Permissions: tenants, group sets, and the key that stands for a group set.

A document names the groups that may read it. Filtering a search by a list of groups costs 146 to 1,200 ms, by one
key 7 to 23 ms. So every distinct group set of a tenant has one `acl_key`, the keys stand in `silver.acl_keys`, and
a caller's groups resolve to the keys that the caller may read. A group's name is literal text: `%`, `*` and quotes have
no special meaning anywhere, and upper and lower case differ. Only its composition is normalised (NFC), for `é` is one
letter to its readers, whether a file system or a directory wrote one code point or two.
"""

import hashlib
import json
import re
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from cachetools import TTLCache, cachedmethod

from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import ACL_KEYS

EVERYONE = "everyone"
MAX_GROUP_LENGTH = 128
DIRECTORY_AGE_S = 2.0
"""A key that a job adds is seen this late. Keys are never removed, and a document that moves to another group set
carries another key at once: a late look-up hides a new document and never reveals one."""
_MAX_TENANTS = 1_024
_IN_NAMES_WITH_COMMAS = re.compile(r"[=\\]")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def check_tenant(tenant_id: str) -> str:
    """The tenant id itself; `InvalidInput` for an invalid id."""
    if not _TENANT.fullmatch(tenant_id):
        raise InvalidInput(
            f"tenant {tenant_id!r}: must be 1 to 63 of A-Z, a-z, 0-9, - and _, and begin with a letter or a digit. "
            "Choose such an id, and keep the display name elsewhere."
        )
    return tenant_id


def canonical_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """Group names in NFC, stripped, without repeats and blanks, sorted; `InvalidInput` for an impossible name."""
    if isinstance(groups, str):  # would otherwise become a group for each letter
        raise InvalidInput(f"groups {groups!r}: must be a list of names. Put the name in a list.")
    names = {_normal(group) for group in groups}
    for name in names:
        if len(name) > MAX_GROUP_LENGTH:
            raise InvalidInput(
                f"group {name[:20]!r}…: {len(name)} characters, at most {MAX_GROUP_LENGTH} allowed. Use a shorter name."
            )
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise InvalidInput(f"group {name!r}: control characters are not allowed. Take them out of the name.")
    return tuple(sorted(names - {""}))


def _normal(group: str) -> str:
    return unicodedata.normalize("NFC", group).strip()


def split_groups(text: str) -> list[str]:
    """The names in a comma-separated list. Raises `InvalidInput` for a list that may be one name with commas.

    `CN=Sales,OU=EMEA` is one LDAP name: split, it would be two groups, and the second somebody else's.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if "," in text and (odd := [name for name in names if _IN_NAMES_WITH_COMMAS.search(name)]):
        raise InvalidInput(
            f"groups {text!r}: a list of names with commas between them, but {odd[0]!r} looks like a part of one name. "
            "Name each group by a --group of its own, or in a list: --group 'CN=Sales,OU=EMEA,DC=example,DC=com'."
        )
    return names


def named_groups(comma_separated: str, names: Iterable[str]) -> list[str]:
    """The groups of `--groups` and of each `--group`. Raises `InvalidInput` for a blank `--group`.

    A blank name comes of a variable that is not set; it must not open the documents to everybody.
    """
    given = list(names)
    if not all(name.strip() for name in given):
        raise InvalidInput("group '': is blank. Name a group, or leave --group out.")
    return [*split_groups(comma_separated), *given]


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
    """The app and user that a task runs for. Decides which documents are read and which account is charged."""

    tenant_id: str
    groups: tuple[str, ...]
    app: str
    key_id: str
    user_id: str | None = None


class AclDirectory:
    """The tenants' group sets from `silver.acl_keys`; safe to share between threads; get it by `acl_directory`.

    Fails closed: a look-up that fails raises, and no expired answer is used in its place.
    """

    def __init__(self, settings: Settings, timer: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._sets: TTLCache[str, dict[str, frozenset[str]]] = TTLCache(_MAX_TENANTS, DIRECTORY_AGE_S, timer)

    def allowed_keys(self, tenant_id: str, groups: Iterable[str]) -> tuple[str, ...]:
        """Keys of the documents that a caller of this tenant with these groups may read, `everyone` first.

        A document is readable when it names no group, or at least one group of the caller.
        """
        caller_groups = set(canonical_groups(groups))
        group_sets = self._group_sets(check_tenant(tenant_id)) if caller_groups else {}
        return (EVERYONE, *sorted(key for key, names in group_sets.items() if names & caller_groups))

    @cachedmethod(lambda self: self._sets, key=lambda _, tenant_id: tenant_id, lock=lambda self: self._lock)
    def _group_sets(self, tenant_id: str) -> dict[str, frozenset[str]]:
        rows = read_rows(
            self._settings, ACL_KEYS, where=[("tenant_id", "=", tenant_id)], columns=("acl_key", "acl_groups")
        )
        return {row["acl_key"]: frozenset(map(_normal, row["acl_groups"])) for row in rows}


@lru_cache(maxsize=8)
def acl_directory(settings: Settings) -> AclDirectory:
    """The directory that all callers in this process share, so that group sets are read once in `DIRECTORY_AGE_S`."""
    return AclDirectory(settings)
