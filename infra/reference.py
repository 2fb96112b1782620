"""Generates the reference pages of `docs/` from the code: settings, commands, tables.

    python -m infra.reference        (or `make docs`)

`tests/test_docs.py` fails when a committed page differs from the generated one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from infra.cli.main import main as cli
from lakehouse.analytics.dictionary import render as render_dictionary
from lakehouse.settings import GROUPS, PREFIX, PROJECT_ROOT

_DOCS = PROJECT_ROOT / "docs"


def pages() -> dict[Path, str]:
    """Path and text of every generated page."""
    return {
        _DOCS / "settings.md": render_settings(),
        _DOCS / "commands.md": render_commands(),
        _DOCS / "data-dictionary.md": render_dictionary(),
    }


def render_settings() -> str:
    """A table for each group of settings: variable, default, meaning."""
    lines = [
        "# Settings",
        "",
        "Environment variables; or the same names in lower case, without the prefix, in a TOML file that",
        f"`{PREFIX}CONFIG` names (the environment wins). An unknown name or a bad value stops the start with",
        "what is allowed. `lakehop status` shows the values in force, secrets hidden.",
        "",
    ]
    for group in GROUPS:
        topic, _, content = (group.__doc__ or "").partition(":")
        lines += [
            f"## {topic}",
            "",
            f"{content.strip()[:1].upper() + content.strip()[1:]}",
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
        ]
        lines += [
            f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {field.description} |"
            for name, field in group.model_fields.items()
        ]
        lines.append("")
    return "\n".join(lines)


def render_commands() -> str:
    """The help text of every command, as `--help` prints it."""
    sections = [
        "# Commands",
        "",
        "Every command takes `--json`: one JSON document on standard output, logs on standard error. Exit status 0:",
        "done, 1: failed, 2: wrong usage. Money is in strings, so that no reader rounds it.",
        "",
    ]
    for path, command in _leaves(cli, ["lakehop"]):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
        sections += [f"## {' '.join(path)}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(sections)


def _leaves(command: click.Command, path: list[str]) -> Iterator[tuple[list[str], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in sorted(command.commands):
        yield from _leaves(command.commands[name], [*path, name])


def _default(default: Any) -> str:
    if isinstance(default, SecretStr):
        return "empty"
    if isinstance(default, Path):  # paths of the machine that renders the page
        for base, label in ((PROJECT_ROOT, "<checkout>"), (Path.home(), "~")):
            if default.is_relative_to(base):
                return f"`{label}/{default.relative_to(base)}`"
    return f"`{default}`" if str(default) else "empty"


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
