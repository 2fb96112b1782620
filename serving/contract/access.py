"""Who asks, and on whose behalf: from the API key, never from a model, and from the body only as the key permits."""

from collections.abc import Iterable

from lakehouse.access.ledger import Key, Ledger
from lakehouse.access.permissions import Caller, canonical_groups, check_tenant
from lakehouse.errors import NotAllowed, NotAuthenticated


def authenticate(ledger: Ledger, authorization: str | None) -> Key:
    """The key of an `Authorization: Bearer lh_…` header; `NotAuthenticated` without a good one."""
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise NotAuthenticated("no API key. Send it as `Authorization: Bearer lh_…`; `lakehop keys create` makes one.")
    key = ledger.authenticate(secret.strip())
    if key is None:
        raise NotAuthenticated("the API key is unknown or revoked. `lakehop keys list` shows the good ones.")
    return key


def caller_of(key: Key, tenant: str | None, groups: Iterable[str] | None, user: str | None) -> Caller:
    """Bind a request to its tenant and groups.

    An operator key acts for any tenant with any groups. Another key has its own; it may name a part of its groups,
    so that an app can ask as one of its users who has fewer, and gets `NotAllowed` for anything beyond.
    """
    if key.operator:
        tenant_id = check_tenant(tenant) if tenant is not None else key.tenant_id
        own = key.groups if tenant is None else ()
        return Caller(tenant_id, own if groups is None else canonical_groups(groups), key.app, key.key_id, user)
    if tenant is not None and tenant != key.tenant_id:
        raise NotAllowed(f"tenant {tenant[:63]!r}: this key is of {key.tenant_id!r}. Leave the field out.")
    asked = key.groups if groups is None else canonical_groups(groups)
    beyond = sorted(set(asked) - set(key.groups))
    if beyond:
        raise NotAllowed(
            f"group {beyond[0]!r}: not one of this key's, which are {list(key.groups)}. "
            "Leave the field out, or name a part of them."
        )
    return Caller(key.tenant_id, asked, key.app, key.key_id, user)


def require_operator(key: Key, what: str) -> None:
    """`NotAllowed` unless the key is an operator's."""
    if not key.operator:
        raise NotAllowed(f"{what} covers all tenants and needs an operator key; {key.key_id} is not one.")
