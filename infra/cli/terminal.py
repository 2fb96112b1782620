"""What the commands share: options, output, errors.

stdout carries only the result, so that `--json` gives a program one document; progress and errors go to stderr.
Imports stay light, because `lakehop --help` must answer at once.
"""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import wraps
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
_BAR_CHARACTERS = 24
_CLEAR = "\r\x1b[K"
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
tenant_option = click.option("--tenant", required=True, help="The tenant; letters, digits, - and _.")
program_option = click.option("--program", type=click.Choice(PROGRAMS), help="Default: LAKEHOP_PROGRAM.")
question_argument = click.argument("question", callback=lambda ctx, param, value: _not_empty(value))


def groups_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--groups a,b` and `--group NAME`, repeatable; the command gets the names of both as `groups`."""

    @wraps(command)
    def with_groups(*args: Any, groups: str, group: tuple[str, ...], **given: Any) -> None:
        from lakehouse.access.permissions import named_groups

        command(*args, groups=named_groups(groups, group), **given)

    one = click.option("--group", multiple=True, metavar="NAME", help="One group, commas and all; repeatable.")
    several = click.option("--groups", default="", help="Plain names with commas between them, e.g. staff,hr.")
    return several(one(with_groups))


_FILTERS = (
    click.option(
        "--type", "document_type", multiple=True, metavar="TYPE", help="Only this format, e.g. pdf; repeatable."
    ),
    click.option("--author", multiple=True, metavar="NAME", help="Only this author's; repeatable."),
    click.option("--updated-after", metavar="TIME", help="Only changed at this time or later, ISO 8601."),
    click.option("--updated-before", metavar="TIME", help="Only changed before this time, ISO 8601."),
    click.option("--path", metavar="START", help="Only documents whose id begins so, e.g. hr/."),
    click.option("--source", multiple=True, metavar="NAME", help="Only documents of this source; repeatable."),
)


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--source`, `--type`, `--author`, `--updated-after`, `--updated-before` and `--path`, all optional.

    The command gets those that are given as `filters`, by the names of the gateway's body.
    """

    @wraps(command)
    def with_filters(*args: Any, **given: Any) -> None:
        names = ("source", "document_type", "author", "updated_after", "updated_before", "path")
        values = {name: given.pop(name) for name in names}
        filters = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value}
        command(*args, filters=filters, **given)

    decorated: Callable[..., None] = with_filters
    for option in _FILTERS:
        decorated = option(decorated)
    return decorated


def settings() -> Settings:
    """The process's settings, read once a command."""
    return load_settings()


def say(line: str) -> None:
    """Print a line of progress for a waiting user, in place of a bar."""
    click.echo(f"{_CLEAR}{line}" if sys.stderr.isatty() else line, err=True)


def show_progress(line: str, share: float | None) -> None:
    """Show how far a step is: a bar that is drawn again and again on a terminal, else a line. `share`: 0 to 1."""
    if not sys.stderr.isatty():
        click.echo(line, err=True)
        return
    full = round((share or 0) * _BAR_CHARACTERS)
    bar = "" if share is None else f"[{'█' * full}{'░' * (_BAR_CHARACTERS - full)}] "
    click.echo(f"{_CLEAR}{bar}{line}", err=True, nl=False)


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


def _has_terminal() -> bool:
    return sys.stdin.isatty()


def _not_empty(question: str) -> str:
    if not question.strip():
        raise click.BadParameter("it is empty. Ask a question.")
    return question
