"""What is remembered for the users of apps: `memory list` and `memory forget`."""

from dataclasses import asdict

import click

from infra.cli.terminal import confirm, emit, json_option, settings, tenant_option

user_option = click.option("--user", required=True, help="Whose memory, as the app knows them.")
app_option = click.option("--app", help="Of this app's key only; default: of that user in every app.")


@click.group()
def memory() -> None:
    """What is remembered for users from one task to the next."""


@memory.command("list")
@tenant_option
@user_option
@app_option
@json_option
def list_(tenant: str, user: str, app: str | None, as_json: bool) -> None:
    """List what is remembered for a user, newest first; also what the user may not see at present.

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
@click.option("--id", "memory_id", help="Forget this entry only.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@json_option
def forget(tenant: str, user: str, app: str | None, memory_id: str | None, yes: bool, as_json: bool) -> None:
    """Forget what is remembered for a user for good, and prove it: rows, then the files that held them.

    \b
    lakehop memory forget --tenant acme --user ann --yes
    """
    from infra.cli.render import print_record
    from lakehouse.state.memory import Memories, Owner

    owner = Owner(tenant, app, user)
    confirm(yes, f"Forget {memory_id or 'all that is remembered'} for user {user!r} of tenant {tenant!r} for good?")
    emit(as_json, asdict(Memories(settings()).forget(owner, memory_id)), print_record)


COMMANDS = (memory,)
