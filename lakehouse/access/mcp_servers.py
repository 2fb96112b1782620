"""Which MCP servers the agents may use, and who may have them used: the file that `LAKEHOP_MCP_SERVERS_FILE` names.

It is spelled as other MCP clients spell `mcpServers`, so that an entry can be copied from them, and wants one thing
that they don't: `allow`, for here many tenants share one process. Secrets stand in the environment, and the file
refers to them.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from lakehouse.access.permissions import EVERYONE, Caller, canonical_groups, check_tenant
from lakehouse.errors import InvalidInput, SettingsError
from lakehouse.settings import Settings

SETTING = "LAKEHOP_MCP_SERVERS_FILE"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,23}")  # no `_`: it stands between a server's name and its tool's


class McpServerSettings(BaseModel):
    """One server: a `command` to start, or the `url` of one that runs (streamable HTTP)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["stdio", "http", "streamable-http"] | None = None
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = {}
    url: str = ""
    headers: dict[str, SecretStr] = {}
    allow: dict[str, frozenset[str]] = Field(min_length=1)
    """By tenant the groups whose members may have it used; `everyone`: all of the tenant."""
    read_only: frozenset[str] = Field(frozenset(), alias="readOnly")
    """Tools that change nothing. Whatever the server says of the others, they count as having side effects."""
    timeout_s: float = Field(20, gt=0, le=120, alias="timeoutSeconds")
    name: str = ""
    secrets: tuple[SecretStr, ...] = ()
    """What the references stood for: never to be shown, though the server say it itself."""

    @field_validator("url")
    @classmethod
    def _is_http_without_password(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be a URL such as https://tickets.example.com/mcp")
        if parts.username or parts.password:
            raise ValueError("must hold no user and no password; send them as a header")
        return url

    @field_validator("allow")
    @classmethod
    def _names_tenants_and_groups(cls, allow: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        try:
            allowed = {check_tenant(tenant): frozenset(canonical_groups(groups)) for tenant, groups in allow.items()}
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        for tenant, groups in allowed.items():
            if not groups:
                raise ValueError(f"tenant {tenant!r} has no groups; for all of the tenant, write [{EVERYONE!r}]")
        return allowed

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "McpServerSettings":
        if bool(self.command) == bool(self.url):
            raise ValueError("needs a command or a url, one of both")
        if self.type and (self.type == "stdio") != bool(self.command):
            raise ValueError(f"type {self.type!r} does not go with {'a command' if self.command else 'a url'}")
        return self

    def allows(self, caller: Caller) -> bool:
        """Whether the caller may have it used: fails closed for a tenant or groups that are not named."""
        groups = self.allow.get(caller.tenant_id, frozenset())
        return EVERYONE in groups or not groups.isdisjoint(caller.groups)


def load_mcp_servers(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[McpServerSettings, ...]:
    """The servers of the file; none without one. Raises SettingsError, in whose text no secret ever stands."""
    if not settings.mcp_servers_file:
        return ()
    environ = os.environ if environ is None else environ
    path = Path(settings.mcp_servers_file)
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        servers = content["mcpServers"]
        return tuple(_server(name, servers[name], environ) for name in servers)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{SETTING}={str(path)!r}: {error}. Name a readable file, or leave it empty.") from None
    except (ValueError, KeyError, TypeError, AttributeError):  # what a parser says quotes the file, and so a secret
        raise SettingsError(
            f'{SETTING}={str(path)!r}: must be JSON such as {{"mcpServers": {{"notes": {{"command": "…", '
            '"allow": {"acme": ["staff"]}}}}, or the same in TOML. Correct it.'
        ) from None


def _server(name: str, given: Any, environ: Mapping[str, str]) -> McpServerSettings:
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{SETTING}: server {name[:40]!r}: must be 1 to 24 letters, digits and -. Rename it.")
    secrets: list[SecretStr] = []

    def resolved(match: re.Match[str]) -> str:
        variable = match.group(1)
        if not environ.get(variable):
            raise SettingsError(f"{SETTING}: server {name!r} refers to ${{{variable}}}, which is not set. Set it.")
        secrets.append(SecretStr(environ[variable]))
        return environ[variable]

    fields = dict(given)
    for kind in ("env", "headers"):
        values = dict(fields.get(kind) or {})
        fields[kind] = {key: _REFERENCE.sub(resolved, str(value)) for key, value in values.items()}
    for own in ("name", "secrets", "read_only", "timeout_s"):  # ours, and not to be written in a file
        if own in fields:
            raise SettingsError(f"{SETTING}: server {name!r}: {own}: not a field. {_known()}")
    try:
        return McpServerSettings.model_validate(fields | {"name": name, "secrets": tuple(secrets)})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'it'}: {_said(one)}" for one in error.errors()[:3])
        raise SettingsError(f"{SETTING}: server {name!r}: {wrong}. {_known()}") from None


def _said(error: Any) -> str:
    if error["loc"] == ("allow",) and error["type"] == "missing":
        return 'missing; name who may have it used, such as {"acme": ["staff"]}'
    return "not a field" if error["type"] == "extra_forbidden" else str(error["msg"])


def _known() -> str:
    hidden = ("name", "secrets")
    named = [field.alias or name for name, field in McpServerSettings.model_fields.items() if name not in hidden]
    return f"There are {', '.join(named)}."
