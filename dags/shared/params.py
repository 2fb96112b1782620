"""Parameters that several DAGs share."""

from airflow.sdk import Param

TENANT_PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
GROUPS = Param("", type="string", title="Groups", description="Comma-separated groups of the user who asks.")


def tenant(description: str) -> Param:
    """A required tenant."""
    return Param(type="string", pattern=f"^{TENANT_PATTERN}$", title="Tenant", description=description)


def tenant_or_all(description: str) -> Param:
    """An optional tenant; empty means all."""
    return Param("", type="string", pattern=f"^({TENANT_PATTERN})?$", title="Tenant", description=description)
