"""`lakehop`, the command line. Each command parses, calls one function and renders; commands of a topic share a file.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but for refused documents (`ingest --strict`). A known error prints
its text on stderr; an unknown error prints one line there and writes its traceback to `logs/cli.log` under home.
"""

import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from infra.cli import costs as commands_costs
from infra.cli import documents as commands_documents
from infra.cli import lifecycle as commands_lifecycle
from infra.cli import memory as commands_memory
from infra.cli import programs as commands_programs
from infra.cli.terminal import fail, settings
from lakehouse.errors import InvalidInput, LakehopError


class Commands(click.Group):
    """The root group; the only place where an error becomes a message and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LakehopError as error:
            fail(str(error), 2 if isinstance(error, InvalidInput) else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click handles its own errors and a closed pipe
        except Exception as error:
            fail(f"unexpected {type(error).__name__}: {error}. The traceback is in {_log_traceback()}", 1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="lakehop")
def main() -> None:
    """From documents to cited multi-hop answers, and the cost of every call in SQL.

    \b
    lakehop up
    lakehop ingest docs/ --tenant acme --groups staff
    lakehop ask "Who owns the Orion cluster?" --tenant acme --groups staff
    lakehop sql "select * from gold.cost_daily"
    """


for module in (commands_lifecycle, commands_documents, commands_programs, commands_memory, commands_costs):
    for command in module.COMMANDS:
        main.add_command(command)


def _log_traceback() -> Path:
    path = settings().home / "logs" / "cli.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        log.write(f"{datetime.now(UTC).isoformat()} {sys.argv[1:]!r}\n{traceback.format_exc()}\n")
    return path
