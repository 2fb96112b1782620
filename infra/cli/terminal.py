"""What the commands share: options, output, errors.

stdout carries only the result, so that `--json` gives a program one document; progress and errors go to stderr.
Imports stay light, because `lakehop --help` must answer at once.
"""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, get_args

import click

from lakehouse.errors import InvalidInput
from lakehouse.settings import Program, Settings, load_settings

PROGRAMS: tuple[str, ...] = get_args(Program)


class UsdType(click.ParamType):
    """US dollars above zero as an exact Decimal."""

    name = "usd"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            usd = Decimal(value)
        except InvalidOperation:
            usd = Decimal(0)
        if not (usd.is_finite() and usd > 0):
            self.fail(f"{value!r}: must be US dollars above 0, e.g. 0.05.", param, ctx)
        return usd


USD = UsdType()
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
tenant_option = click.option("--tenant", required=True, help="The tenant; letters, digits, - and _.")
groups_option = click.option(
    "--groups", default="", callback=lambda ctx, param, value: split(value), help="Comma-separated, e.g. staff,hr."
)
program_option = click.option("--program", type=click.Choice(PROGRAMS), help="Default: LAKEHOP_PROGRAM.")
question_argument = click.argument("question", callback=lambda ctx, param, value: _not_empty(value))


def settings() -> Settings:
    """The process's settings, read once a command."""
    return load_settings()


def say(line: str) -> None:
    """Print a line of progress for a waiting user."""
    click.echo(line, err=True)


def emit(as_json: bool, document: Mapping[str, Any], render: Callable[[Mapping[str, Any]], None]) -> None:
    """Print the command's result: as JSON, or by `render`. In JSON, decimals and times are strings."""
    if as_json:
        click.echo(json.dumps(document, default=plain, ensure_ascii=False))
    else:
        render(document)


def plain(value: Any) -> str:
    """Text of a value that JSON has no type for: money without an exponent, times in ISO 8601."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else str(value)


def confirm(yes: bool, question: str) -> None:
    """Ask before an action that cannot be undone, unless `yes`. Raises InvalidInput where no terminal can answer."""
    if yes:
        return
    if not _has_terminal():
        raise InvalidInput(f"{question} No terminal to ask: add --yes.")
    click.confirm(question, abort=True, err=True)


def fail(message: str, status: int) -> NoReturn:
    """End the process with a message."""
    click.echo(f"lakehop: {message}", err=True)
    sys.exit(status)


def split(groups: str) -> list[str]:
    """The names in a comma-separated list; only commas separate."""
    return [name.strip() for name in groups.split(",") if name.strip()]


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _not_empty(question: str) -> str:
    if not question.strip():
        raise click.BadParameter("it is empty. Ask a question.")
    return question
