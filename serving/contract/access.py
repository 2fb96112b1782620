"""The caller of a request: from the API key, narrowed by the body as far as the key permits, never from a model."""

from collections.abc import Iterable

from lakehouse.access.ledger import Key, Ledger
from lakehouse.access.permissions import Caller, canonical_groups, check_tenant
from lakehouse.errors import NotAllowed, NotAuthenticated


def authenticate(ledger: Ledger, authorization: str | None) -> Key:
    """The key of an `Authorization: Bearer lh_…` header. Raises NotAuthenticated without a valid key."""
    scheme, _, secret = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise NotAuthenticated(
            "no API key. Send it as `Authorization: Bearer lh_…`; `lakehop keys create` creates a key."
        )
    key = ledger.authenticate(secret.strip())
    if key is None:
        raise NotAuthenticated("the API key is unknown or revoked. `lakehop keys list` shows all keys.")
    return key


def caller_of(key: Key, tenant: str | None, groups: Iterable[str] | None, user: str | None) -> Caller:
    """The request's caller: tenant, groups, app, key, user.

    An operator key acts for any tenant with any groups. Any other key has one tenant, and may name some of its groups,
    so that an app can ask for a user with fewer groups. Raises NotAllowed for another tenant or group.
    """
    if key.operator:
        tenant_id = check_tenant(tenant) if tenant is not None else key.tenant_id
        own = key.groups if tenant is None else ()
        return Caller(tenant_id, own if groups is None else canonical_groups(groups), key.app, key.key_id, user)
    if tenant is not None and tenant != key.tenant_id:
        raise NotAllowed(f"tenant {tenant[:63]!r}: this key is of {key.tenant_id!r}. Leave the field out.")
    requested = key.groups if groups is None else canonical_groups(groups)
    forbidden = sorted(set(requested) - set(key.groups))
    if forbidden:
        raise NotAllowed(
            f"group {forbidden[0]!r}: not one of this key's groups {list(key.groups)}. "
            "Leave the field out, or name some of these groups."
        )
    return Caller(key.tenant_id, requested, key.app, key.key_id, user)


def require_operator(key: Key, what: str) -> None:
    """Raise NotAllowed unless the key is an operator key."""
    if not key.operator:
        raise NotAllowed(f"{what} covers all tenants and needs an operator key; {key.key_id} is no operator key.")
