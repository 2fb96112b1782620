"""The MCP servers that agents may use, and the groups allowed to use each: the file of `LAKEHOP_MCP_SERVERS_FILE`.

Its format is `mcpServers` of other MCP clients, so that entries can be copied, with one more required field: `allow`,
because many tenants share one process here. Secrets stay in the environment; the file refers to them.
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
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,23}")  # no `_`: it separates the names of server and tool


class McpServerSettings(BaseModel):
    """One server: a `command` to start, or the `url` of a running server (streamable HTTP)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    type: Literal["stdio", "http", "streamable-http"] | None = None
    command: str = ""
    args: tuple[str, ...] = ()
    env: dict[str, SecretStr] = {}
    url: str = ""
    headers: dict[str, SecretStr] = {}
    allow: dict[str, frozenset[str]] = Field(min_length=1)
    """For each tenant the groups whose members may use the server; `everyone`: the whole tenant."""
    read_only: frozenset[str] = Field(frozenset(), alias="readOnly")
    """Tools that change nothing. All other tools count as having side effects, whatever the server declares."""
    timeout_s: float = Field(20, gt=0, le=120, alias="timeoutSeconds")
    name: str = ""
    secrets: tuple[SecretStr, ...] = ()
    """Values of the references. They are never displayed, even when the server returns them."""

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
    def _has_command_or_url(self) -> "McpServerSettings":
        if bool(self.command) == bool(self.url):
            raise ValueError("needs a command or a url, one of both")
        if self.type and (self.type == "stdio") != bool(self.command):
            raise ValueError(f"type {self.type!r} does not go with {'a command' if self.command else 'a url'}")
        return self

    def allows(self, caller: Caller) -> bool:
        """Whether the caller may use the server; no, for a tenant or groups that `allow` does not name."""
        groups = self.allow.get(caller.tenant_id, frozenset())
        return EVERYONE in groups or not groups.isdisjoint(caller.groups)


def load_mcp_servers(settings: Settings, environ: Mapping[str, str] | None = None) -> tuple[McpServerSettings, ...]:
    """The servers of the file; empty without a file. Raises SettingsError, whose text never holds a secret."""
    if not settings.mcp_servers_file:
        return ()
    environ = os.environ if environ is None else environ
    path = Path(settings.mcp_servers_file)
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        servers = content["mcpServers"]
        return tuple(_server(name, servers[name], environ) for name in servers)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{SETTING}={str(path)!r}: {error}. Name a readable file, or leave it empty.") from None
    except (ValueError, KeyError, TypeError, AttributeError):  # a parser's message quotes the file, and so a secret
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
    for internal in ("name", "secrets", "read_only", "timeout_s"):  # our names, not valid in the file
        if internal in fields:
            raise SettingsError(f"{SETTING}: server {name!r}: {internal}: not a field. {_fields_text()}")
    try:
        return McpServerSettings.model_validate(fields | {"name": name, "secrets": tuple(secrets)})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'it'}: {_explain(fault)}" for fault in error.errors()[:3]
        )
        raise SettingsError(f"{SETTING}: server {name!r}: {wrong}. {_fields_text()}") from None


def _explain(error: Any) -> str:
    if error["loc"] == ("allow",) and error["type"] == "missing":
        return 'missing; name who may have it used, such as {"acme": ["staff"]}'
    return "not a field" if error["type"] == "extra_forbidden" else str(error["msg"])


def _fields_text() -> str:
    hidden = ("name", "secrets")
    named = [field.alias or name for name, field in McpServerSettings.model_fields.items() if name not in hidden]
    return f"There are {', '.join(named)}."
