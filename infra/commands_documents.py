"""Documents in, passages and answers out: `ingest`, `search`, `ask`, and what later versions add around them."""

from decimal import Decimal

import click

from infra.terminal import (
    USD,
    emit,
    groups_option,
    json_option,
    program_option,
    question_argument,
    refuse_team,
    say,
    settings,
    tenant_option,
)
from lakehouse.errors import NotBuiltYet

MODES = ("dense", "lexical", "hybrid", "multihop")
ANYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@tenant_option
@groups_option
@click.option("--source", help="Name of the feed; default: the paths themselves.")
@click.option("--snapshot", is_flag=True, help="Delete documents of that source that are no longer there.")
@json_option
def ingest(
    paths: tuple[str, ...], tenant: str, groups: list[str], source: str | None, snapshot: bool, as_json: bool
) -> None:
    """Take documents in by the ingest DAG, and wait for it.

    PATH is a file, a folder, s3://…, a website's sitemap (https://…/sitemap.xml), or a JSONL or Parquet file
    of documents: {"id","title","text","groups"?,"uri"?,"updated_at"?}. Several PATHs are one run and one source.
    The --groups may read the documents that name no groups themselves; without --groups, all of the tenant may.

    \b
    lakehop ingest docs/ --tenant acme --groups staff --snapshot
    """
    from infra.ingest import ingest as run
    from infra.render import print_ingest

    emit(as_json, run(settings(), paths, tenant, groups, source, snapshot, say), print_ingest)


@click.command()
@question_argument
@tenant_option
@groups_option
@click.option("-k", "k", type=click.IntRange(1, 50), default=5, show_default=True, help="How many passages.")
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True)
@json_option
def search(question: str, tenant: str, groups: list[str], k: int, mode: str, as_json: bool) -> None:
    """Find the passages that the groups may read, best first.

    \b
    lakehop search "Orion replicas" --tenant acme --groups staff,hr -k 5
    """
    from infra.gateway_client import GatewayClient
    from infra.render import print_search

    if mode == "multihop":
        raise NotBuiltYet("--mode multihop: not served by this version. `lakehop ask` reads hop by hop.")
    emit(as_json, GatewayClient(settings()).search(question, tenant, groups, k, mode), print_search)


@click.command()
@question_argument
@tenant_option
@groups_option
@program_option
@click.option("--max-usd", type=USD, help="Spend cap of this task, US dollars.")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Time cap of this task.")
@json_option
def ask(
    question: str,
    tenant: str,
    groups: list[str],
    program: str | None,
    max_usd: Decimal | None,
    max_seconds: float | None,
    as_json: bool,
) -> None:
    """Answer a question from the documents that the groups may read, hop by hop, with citations and cost.

    \b
    lakehop ask "How many replicas does the inference cluster run?" --tenant acme --groups staff
    """
    from infra.gateway_client import GatewayClient
    from infra.render import print_answer

    refuse_team(program)
    options = {"program": program, "max_usd": max_usd, "max_seconds": max_seconds}
    emit(as_json, GatewayClient(settings()).ask(question, tenant, groups, **options), print_answer)


@click.command(context_settings=ANYTHING)
def reindex() -> None:
    """Re-embed a tenant with another model behind its alias: not in this version."""
    raise NotBuiltYet("reindex: not served by this version. Ingest into a new home with LAKEHOP_EMBEDDING_MODEL set.")


@click.command(context_settings=ANYTHING)
def reconcile() -> None:
    """Compare Delta with Milvus and repair: not in this version."""
    raise NotBuiltYet("reconcile: not served by this version. Clear the ingest DAG's `build_index` to sync again.")


COMMANDS = (ingest, search, ask, reindex, reconcile)
