"""Commands on the memories of apps' users: `memory list`, `memory forget`."""

from dataclasses import asdict

import click

from infra.cli.terminal import confirm, emit, json_option, settings, tenant_option

user_option = click.option("--user", required=True, help="The user, by the app's id.")
app_option = click.option("--app", help="Only this app's memories; default: all apps.")


@click.group()
def memory() -> None:
    """Memories that users' tasks share."""


@memory.command("list")
@tenant_option
@user_option
@app_option
@json_option
def list_(tenant: str, user: str, app: str | None, as_json: bool) -> None:
    """List a user's memories, newest first; also those that the user may not read at present.

    \b
    lakehop memory list --tenant acme --user ann
    """
    from infra.cli.render import print_memory
    from lakehouse.state.memory import Memories, Owner

    entries = Memories(settings()).entries(Owner(tenant, app, user), None)
    emit(as_json, {"entries": [asdict(entry) for entry in entries]}, print_memory)


@memory.command()
@tenant_option
@user_option
@app_option
@click.option("--id", "memory_id", help="Forget only this entry.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; required without a terminal.")
@json_option
def forget(tenant: str, user: str, app: str | None, memory_id: str | None, yes: bool, as_json: bool) -> None:
    """Forget a user's memories for good and prove it: rows first, then the files that held them.

    \b
    lakehop memory forget --tenant acme --user ann --yes
    """
    from infra.cli.render import print_record
    from lakehouse.state.memory import Memories, Owner

    owner = Owner(tenant, app, user)
    confirm(yes, f"Forget {memory_id or 'all memories'} of user {user!r} of tenant {tenant!r} for good?")
    emit(as_json, asdict(Memories(settings()).forget(owner, memory_id)), print_record)


COMMANDS = (memory,)
