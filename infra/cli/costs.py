"""Commands about costs and API keys: `sql`, `costs`, `keys`, `plan`."""

from decimal import Decimal

import click

from infra.cli.terminal import USD, emit, groups_option, json_option, say, settings, tenant_option
from lakehouse.errors import NotBuiltYet


@click.command()
@click.argument("statement")
@json_option
def sql(statement: str, as_json: bool) -> None:
    """Query all tables and views with SQL, read-only. In JSON, decimals and times are strings.

    \b
    lakehop sql "select * from gold.cost_daily"
    """
    from infra.cli.render import print_rows
    from lakehouse.analytics.sql import run_query

    result = run_query(settings(), statement)
    emit(as_json, {"columns": result.columns, "rows": result.rows}, print_rows)


@click.group()
def costs() -> None:
    """Records of model and tool calls."""


@costs.command()
@json_option
def flush(as_json: bool) -> None:
    """Move spooled call records into the lakehouse now, by the DAG `load_costs`.

    \b
    lakehop costs flush
    """
    from infra.cli.render import print_record
    from infra.dag_runs.ingest import flush_costs

    emit(as_json, flush_costs(settings(), say), print_record)


@click.group()
def keys() -> None:
    """API keys of the gateway. Only a hash of each is stored."""


@keys.command()
@tenant_option
@groups_option
@click.option("--app", required=True, help="Name of the program that uses the key; appears in the cost tables.")
@click.option("--daily-usd", type=USD, help="Spend cap of its tasks in a UTC day; default: no cap.")
@json_option
def create(tenant: str, groups: list[str], app: str, daily_usd: Decimal | None, as_json: bool) -> None:
    """Create a key and print its secret, which cannot be shown again.

    \b
    lakehop keys create --tenant acme --groups staff --app wiki --daily-usd 5
    """
    from lakehouse.access.ledger import Ledger
    from lakehouse.storage.database import Database

    key_id, secret = Ledger(Database.open(settings())).create_key(tenant, groups, app, daily_usd)
    say(f"{key_id} for tenant {tenant!r}, groups {groups or 'none'}. Keep the secret: it is not shown again.")
    emit(as_json, {"key_id": key_id, "key": secret}, lambda _: click.echo(secret))


@keys.command()
@click.argument("key_id")
@json_option
def revoke(key_id: str, as_json: bool) -> None:
    """Revoke a key; the gateway refuses it at once.

    \b
    lakehop keys list
    lakehop keys revoke key_0123456789ab
    """
    from lakehouse.access.ledger import Ledger
    from lakehouse.storage.database import Database

    Ledger(Database.open(settings())).revoke(key_id)
    emit(as_json, {"revoked": key_id}, lambda _: say(f"revoked: {key_id}"))


@keys.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all keys, also revoked ones, and the spend of each today.

    \b
    lakehop keys list
    """
    from infra.cli.render import print_keys
    from lakehouse.access.ledger import Ledger
    from lakehouse.storage.database import Database

    ledger = Ledger(Database.open(settings()))
    rows = [
        {
            "key_id": key.key_id,
            "tenant": key.tenant_id,
            "groups": list(key.groups),
            "app": key.app,
            "operator": key.operator,
            "daily_usd": key.daily_usd,
            "spent_today_usd": ledger.spent_today(key.key_id),
            "created_at": key.created_at.isoformat(),
            "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
        }
        for key in ledger.list_keys()
    ]
    emit(as_json, {"keys": rows}, print_keys)


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def plan() -> None:
    """Plan capacity: not in this version."""
    raise NotBuiltYet("plan: not served by this version. docs/sizing.md has measured sizes.")


COMMANDS = (sql, costs, keys, plan)
