"""Parameters that several DAGs ask for in the same words."""

from airflow.sdk import Param

TENANT_PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
GROUPS = Param("", type="string", title="Groups", description="Comma-separated groups that the asker is in.")


def tenant(description: str) -> Param:
    """A tenant that the form must name."""
    return Param(type="string", pattern=f"^{TENANT_PATTERN}$", title="Tenant", description=description)


def tenant_or_all(description: str) -> Param:
    """A tenant, or nothing for all of them."""
    return Param("", type="string", pattern=f"^({TENANT_PATTERN})?$", title="Tenant", description=description)
