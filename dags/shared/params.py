"""Parameters that several DAGs share."""

from collections.abc import Sequence

from airflow.sdk import Param

TENANT_PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"


def groups_param(description: str) -> Param:
    """Groups as a list, or as one text of plain names with commas between them."""
    return Param(
        [],
        type=["array", "string"],
        items={"type": "string", "minLength": 1},
        title="Groups",
        description=f"{description} One a line, e.g. `CN=Sales,OU=EMEA,DC=example,DC=com`.",
    )


def groups_arguments(groups: str | Sequence[str]) -> list[str]:
    """Options that name the groups: `--groups` splits a text at its commas, each `--group` is one name."""
    return [f"--groups={groups}"] if isinstance(groups, str) else [f"--group={group}" for group in groups]


GROUPS = groups_param("Groups of the user who asks.")


def tenant(description: str) -> Param:
    """A required tenant."""
    return Param(type="string", pattern=f"^{TENANT_PATTERN}$", title="Tenant", description=description)


def tenant_or_all(description: str) -> Param:
    """An optional tenant; empty means all."""
    return Param("", type="string", pattern=f"^({TENANT_PATTERN})?$", title="Tenant", description=description)
