"""The file of MCP servers: an entry of another client with `allow`; wrong ones are told without a secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse.access.mcp_servers import McpServerSettings, load_mcp_servers
from lakehouse.access.permissions import Caller
from lakehouse.errors import SettingsError
from lakehouse.settings import Settings

ALLOW = {"acme": ["staff"]}
ENVIRONMENT = {"NOTES_TOKEN": "s3cr3t-token"}


def load(folder: Path, text: str, name: str = "mcp.json") -> tuple[McpServerSettings, ...]:
    path = folder / name
    path.write_text(text)
    return load_mcp_servers(Settings(mcp_servers_file=str(path)), ENVIRONMENT)


def one(folder: Path, **entry: Any) -> McpServerSettings:
    (server,) = load(folder, json.dumps({"mcpServers": {"notes": entry}}))
    return server


def test_without_a_file_there_are_no_servers() -> None:
    assert load_mcp_servers(Settings(), {}) == ()


def test_an_entry_of_another_client_needs_allow_alone(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer ${NOTES_TOKEN}", "X-Region": "eu"}

    server = one(tmp_path, type="http", url="https://notes.example.com/mcp", headers=headers, allow=ALLOW)

    shown = {name: value.get_secret_value() for name, value in server.headers.items()}
    assert shown == {"Authorization": "Bearer s3cr3t-token", "X-Region": "eu"}
    assert [secret.get_secret_value() for secret in server.secrets] == ["s3cr3t-token"]
    assert "s3cr3t" not in f"{server!r} {server} {server.model_dump_json()}"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    content = json.dumps({"mcpServers": {"notes": {"command": "python", "allow": ALLOW}}})

    assert [server.name for server in load(tmp_path, "\ufeff" + content)] == ["notes"]


def test_the_same_in_toml(tmp_path: Path) -> None:
    toml = """
    [mcpServers.notes]
    command = "python"
    args = ["notes.py"]
    env = { TOKEN = "${NOTES_TOKEN}" }
    allow = { acme = ["everyone"] }
    readOnly = ["find"]
    timeoutSeconds = 5
    """
    (server,) = load(tmp_path, toml, "mcp.toml")

    assert (server.name, server.command, server.args, server.timeout_s) == ("notes", "python", ("notes.py",), 5)
    assert (server.read_only, server.env["TOKEN"].get_secret_value()) == (frozenset({"find"}), "s3cr3t-token")


@pytest.mark.parametrize(
    ("allow", "tenant", "groups", "may"),
    [
        (ALLOW, "acme", ("staff", "hr"), True),
        (ALLOW, "acme", ("hr",), False),
        (ALLOW, "acme", (), False),
        (ALLOW, "other", ("staff",), False),
        ({"acme": ["everyone"]}, "acme", (), True),
        ({"acme": ["everyone"]}, "other", (), False),
    ],
)
def test_who_is_not_named_may_not_use_it(
    tmp_path: Path, allow: dict[str, list[str]], tenant: str, groups: tuple[str, ...], may: bool
) -> None:
    assert one(tmp_path, command="notes", allow=allow).allows(Caller(tenant, groups, "wiki", "key_1")) is may


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"command": "x"}, r'notes.: allow: missing; name who may have it used, such as {"acme": \["staff"\]}'),
        ({"command": "x", "allow": {}}, "allow: Dictionary should have at least 1 item"),
        ({"command": "x", "allow": {"acme": []}}, "tenant 'acme' has no groups; for all of the tenant, write"),
        ({"command": "x", "allow": {"a b": ["staff"]}}, "tenant 'a b': must be 1 to 63 of"),
        ({"allow": ALLOW}, "it: Value error, needs a command or a url, one of both"),
        ({"command": "x", "url": "http://x", "allow": ALLOW}, "needs a command or a url"),
        ({"type": "stdio", "url": "http://x", "allow": ALLOW}, "type 'stdio' does not go with a url"),
        ({"type": "sse", "url": "http://x", "allow": ALLOW}, "type: Input should be 'stdio', 'http' or"),
        ({"url": "file:///etc", "allow": ALLOW}, "url: Value error, must be a URL such as"),
        ({"command": "x", "allow": ALLOW, "cwd": "/"}, "cwd: not a field. There are type, command, args, env, url"),
        ({"command": "x", "allow": ALLOW, "secrets": []}, "secrets: not a field"),
        ({"command": "x", "allow": ALLOW, "timeoutSeconds": 0}, "timeoutSeconds: Input should be greater than 0"),
        ({"command": "x", "allow": ALLOW, "env": {"A": "${MISSING}"}}, r"refers to \${MISSING}, which is not set"),
        ("nothing", "must be JSON such as"),
    ],
)
def test_a_wrong_entry_is_told_with_what_is_allowed(tmp_path: Path, entry: Any, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(tmp_path, json.dumps({"mcpServers": {"notes": entry}}))


@pytest.mark.parametrize(
    "text",
    [
        '{"mcpServers": {"notes": {"url": "https://me:s3cr3t@example.com/mcp", "allow": {"acme": ["staff"]}}}}',
        '{"mcpServers": {"notes": {"command": "x", "headers": "s3cr3t", "allow": {"acme": ["staff"]}}}}',
        '{"mcpServers": {"notes": {"command": 7, "env": {"A": "s3cr3t"}}}}',
        '{"mcpServers": {"notes": {"command": "x", "env": {"A": "s3cr3t"}',
        '{"mcpServers": "s3cr3t"}',
        '["s3cr3t"]',
    ],
)
def test_no_secret_stands_in_what_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="LAKEHOP_MCP_SERVERS_FILE") as told:
        load(tmp_path, text)

    assert "s3cr3t" not in str(told.value)


@pytest.mark.parametrize("name", ["a_b", "", "a b", "9", "x" * 25])
def test_a_name_that_a_tool_cannot_begin_with_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="must be 1 to 24 letters, digits and -"):
        load(tmp_path, json.dumps({"mcpServers": {name: {"command": "x", "allow": ALLOW}}}))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_mcp_servers(Settings(mcp_servers_file=str(tmp_path / "nothing.json")), {})
