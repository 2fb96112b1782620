"""Commands that start, stop and show the stack: `up`, `down`, `status`, `thrift`."""

import sys
from dataclasses import asdict

import click

from infra.cli.terminal import emit, json_option, say, settings


@click.command()
@click.option("--profile", type=click.Choice(["local", "cluster"]), default="local", show_default=True)
@click.option("--no-wait", is_flag=True, help="Return once the parts have started, before they serve.")
@json_option
def up(profile: str, no_wait: bool, as_json: bool) -> None:
    """Start all parts that do not run, and wait until they serve.

    Running parts are reused, dead parts are restarted. Only the parts in LAKEHOP_LOCAL_PARTS start here; the
    other parts run elsewhere and are only checked. With `--profile cluster` all parts run elsewhere.

    \b
    lakehop up
    LAKEHOP_LOCAL_PARTS=milvus,gateway,airflow lakehop up
    """
    from infra.cli.render import print_parts
    from infra.stack.lifecycle import Stack

    current = settings()
    if profile == "cluster":
        current = current.model_copy(update={"local_parts": ""})
    stack = Stack(current, say)
    stack.prepare()
    stack.ensure()
    if not no_wait:
        stack.wait_for()
    emit(as_json, {"parts": [asdict(part) for part in stack.status()]}, print_parts)


@click.command()
@json_option
def down(as_json: bool) -> None:
    """Stop all processes that `lakehop up` and `lakehop thrift start` started; the data stays.

    \b
    lakehop down
    """
    from infra.stack.lifecycle import Stack

    stopped = Stack(settings()).down()
    emit(as_json, {"stopped": stopped}, lambda _: say(f"stopped: {', '.join(stopped) or 'nothing was running'}"))


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show each part's state and address, and the settings. Exit 0 when all parts are healthy, else 1.

    \b
    lakehop status
    """
    from infra.cli.render import print_status
    from infra.stack.lifecycle import Stack, visible_settings

    current = settings()
    parts = Stack(current).status()
    document = {"parts": [asdict(part) for part in parts], "settings": visible_settings(current)}
    emit(as_json, document, print_status)
    if any(part.state != "healthy" for part in parts):
        sys.exit(1)


@click.group()
def thrift() -> None:
    """SQL over JDBC: a Spark Thrift server, started on demand."""


@thrift.command()
@json_option
def start(as_json: bool) -> None:
    """Start the Thrift server and print its JDBC address; `lakehop down` also stops it.

    \b
    lakehop thrift start
    """
    from infra.stack.lifecycle import Stack

    stack = Stack(settings(), say)
    stack.prepare()
    stack.ensure(["thrift"])
    stack.wait_for("thrift")
    url = stack.address("thrift")
    emit(as_json, {"url": url}, lambda _: click.echo(url))


@thrift.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop the Thrift server.

    \b
    lakehop thrift stop
    """
    from infra.stack.lifecycle import Stack

    stopped = ["thrift"] if Stack(settings()).stop("thrift") else []
    emit(as_json, {"stopped": stopped}, lambda _: say(f"stopped: {', '.join(stopped) or 'it was not running'}"))


COMMANDS = (up, down, status, thrift)
