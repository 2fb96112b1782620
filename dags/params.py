"""Parameters that several DAGs ask for in the same words."""

from airflow.sdk import Param

TENANT = Param(
    type="string",
    pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
    title="Tenant",
    description="Whose documents they are: letters, digits, `_` and `-`.",
)
TENANT_OR_ALL = Param(
    "",
    type="string",
    pattern="^([A-Za-z0-9][A-Za-z0-9_-]{0,62})?$",
    title="Tenant",
    description="Whose index; empty: every tenant's.",
)
