"""Commands on documents: `ingest`, `search`, `ask`, `passage`, `replay`, `forget`, `reindex`, `reconcile`."""

import sys
from decimal import Decimal
from typing import Any

import click

from infra.cli.terminal import (
    USD,
    confirm,
    emit,
    filter_options,
    groups_option,
    json_option,
    program_option,
    question_argument,
    say,
    settings,
    show_progress,
    tenant_option,
)
from lakehouse.settings import MAX_QUORUM

REFUSED_STATUS = 3
MODES = ("dense", "lexical", "hybrid", "multihop")
STYLES = ("fact", "yes_no", "number", "list", "steps", "explanation", "comparison")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@tenant_option
@groups_option
@click.option("--source", help="Name of the feed; default: the paths.")
@click.option("--snapshot", is_flag=True, help="Delete documents of this source that the paths no longer hold.")
@click.option(
    "--allow-deleting",
    is_flag=True,
    help="Let --snapshot delete most of the source, or all; else that fails: a disk may not be mounted.",
)
@click.option("--strict", is_flag=True, help="Exit with 3 if a document was refused; the others are taken in.")
@json_option
def ingest(
    paths: tuple[str, ...],
    tenant: str,
    groups: list[str],
    source: str | None,
    snapshot: bool,
    allow_deleting: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Ingest documents by the ingest DAG, and wait for its end.

    PATH is a file, a folder, s3://…, a website's sitemap (https://…/sitemap.xml), or a JSONL or Parquet file
    of documents: {"id","title","text","groups"?,"uri"?,"updated_at"?,"author"?,
    "document_type"?}. Several PATHs are one run and one source.
    --groups and --group may read the documents that name no groups; without, everybody in the tenant may.

    \b
    lakehop ingest docs/ --tenant acme --groups staff --snapshot
    lakehop ingest sales/ --tenant acme --group "CN=Sales,OU=EMEA,DC=example,DC=com"
    """
    from infra.cli.render import print_ingest
    from infra.dag_runs.ingest import Snapshot
    from infra.dag_runs.ingest import ingest as run

    document = run(settings(), paths, tenant, groups, source, Snapshot(snapshot, allow_deleting), say, show_progress)
    emit(as_json, document, print_ingest)
    if strict and document["refusals"]:
        sys.exit(REFUSED_STATUS)


@click.command()
@question_argument
@tenant_option
@groups_option
@click.option("-k", "k", type=click.IntRange(1, 50), default=5, show_default=True, help="Number of documents.")
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True)
@filter_options
@click.option(
    "--passages-per-document",
    type=click.IntRange(1, 10),
    default=1,
    show_default=True,
    help="The best passages of each document.",
)
@click.option("--page-token", help="`next_page_token` of the page before, for the next page.")
@json_option
def search(
    question: str,
    tenant: str,
    groups: list[str],
    k: int,
    mode: str,
    filters: dict[str, Any],
    passages_per_document: int,
    page_token: str | None,
    as_json: bool,
) -> None:
    """Find the documents that the groups may read, best first, each by its best passage.

    \b
    lakehop search "Orion replicas" --tenant acme --groups staff,hr -k 5
    lakehop search "Who leads the team that runs Orion?" --tenant acme --groups staff --mode multihop
    lakehop search "notice period" --tenant acme --groups hr --type pdf --type docx --updated-after 2026-01-01
    """
    from infra.cli.render import print_search
    from infra.clients.gateway import GatewayClient

    document = GatewayClient(settings()).search(
        question, tenant, groups, k, mode, filters=filters or None, page_token=page_token,
        passages_per_document=passages_per_document,
    )  # fmt: skip
    emit(as_json, document, print_search)


@click.command()
@question_argument
@tenant_option
@groups_option
@program_option
@click.option("--style", type=click.Choice(STYLES), help="Form of the answer, for multihop; default: by the question.")
@click.option("--max-usd", type=USD, help="Spend cap of this task, US dollars.")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Time cap of this task.")
@click.option(
    "--quorum",
    type=click.IntRange(1, MAX_QUORUM),
    help="Number of independent documents that must agree on a deciding fact; for multihop and team.",
)
@click.option("--user", help="The asking user, in the operator key's app; owner of the memory.")
@click.option("--memory", is_flag=True, help="Give the program the memories of --user; for react and single_shot.")
@click.option("--remember", is_flag=True, help="Store the answer in the memory of --user.")
@filter_options
@json_option
def ask(
    question: str,
    tenant: str,
    groups: list[str],
    program: str | None,
    style: str | None,
    max_usd: Decimal | None,
    max_seconds: float | None,
    quorum: int | None,
    user: str | None,
    memory: bool,
    remember: bool,
    filters: dict[str, Any],
    as_json: bool,
) -> None:
    """Answer a question from the documents that the groups may read, hop by hop, with citations and cost.

    \b
    lakehop ask "How many replicas does the inference cluster run?" --tenant acme --groups staff
    lakehop ask "How long is the Oder?" --tenant acme --groups staff --quorum 2
    lakehop ask "Orion's replicas" --tenant acme --groups staff --style list
    """
    from infra.cli.render_answer import print_answer
    from infra.clients.gateway import GatewayClient

    document = GatewayClient(settings()).ask(
        question, tenant, groups, program=program, style=style, max_usd=max_usd, max_seconds=max_seconds,
        quorum=quorum, user=user, memory=memory or None, remember=remember or None, filters=filters or None,
    )  # fmt: skip
    emit(as_json, document, print_answer)


@click.command()
@click.argument("chunk_id")
@tenant_option
@groups_option
@click.option("--around", type=click.IntRange(0, 10), help="Chunks of the document on each side; default: 1.")
@json_option
def passage(chunk_id: str, tenant: str, groups: list[str], around: int | None, as_json: bool) -> None:
    """Show a passage that the groups may read in its document, with the text before and after it.

    CHUNK_ID is the `chunk_id` of a citation or of a found passage, as --json tells it.

    \b
    lakehop passage 5f0c1e9a --tenant acme --groups staff
    """
    from infra.cli.render_answer import print_passage
    from infra.clients.gateway import GatewayClient

    emit(as_json, GatewayClient(settings()).passage(chunk_id, tenant, groups, around), print_passage)


@click.command()
@click.option("--run", "run_id", metavar="RUN_ID", help="Replay the items that this run refused.")
@click.option("--tenant", help="Replay all open items of this tenant.")
@click.option("--source", help="With --tenant: only items of this source.")
@json_option
def replay(run_id: str | None, tenant: str | None, source: str | None, as_json: bool) -> None:
    """Ingest refused items again, after a fix. Nothing else of their source is read or changed.

    Items that are refused again stay open, with the new reason.

    \b
    lakehop replay --tenant acme --source wiki
    """
    from infra.cli.render import print_replay
    from infra.dag_runs.replay import replay as run

    emit(as_json, run(settings(), run_id, tenant, source, say), print_replay)


@click.command()
@tenant_option
@click.option("--source", help="Only documents of this source.")
@click.option("--document", "documents", multiple=True, metavar="ID", help="Id of a document; repeatable.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; required without a terminal.")
@json_option
def forget(tenant: str, source: str | None, documents: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove documents, a source or, without both options, a whole tenant for good, and prove it.

    Removes rows, old versions, change data and index entries, then reads every remaining file to prove that nothing
    is left. Cost records stay. A document that its source still holds comes back with the next ingest.

    \b
    lakehop forget --tenant acme --source wiki --document staff/jane.md --yes
    """
    from infra.cli.render import print_forget
    from infra.dag_runs.forget import check_known
    from infra.dag_runs.forget import forget as run

    check_known(settings(), tenant, source, documents)
    confirm(yes, f"Remove {_scope_text(tenant, source, documents)} for good?")
    emit(as_json, run(settings(), tenant, source, documents, say), print_forget)


def _scope_text(tenant: str, source: str | None, documents: tuple[str, ...]) -> str:
    where = f"of source {source!r} of tenant {tenant!r}" if source else f"of tenant {tenant!r}"
    if documents:
        return f"{len(documents)} documents {where}"
    return f"all documents {where}" if source else f"everything {where}"


one_tenant_option = click.option("--tenant", help="The tenant; default: all tenants.")


@click.command()
@click.option("--embedding-model", required=True, help="Id of an installed model, or a model's folder.")
@one_tenant_option
@json_option
def reindex(embedding_model: str, tenant: str | None, as_json: bool) -> None:
    """Move one tenant or all to another embedding model, by the DAG `reindex`; searches go on meanwhile.

    The new index is built from Delta beside the live one, checked, and replaces it. The old index is kept: to go
    back, reindex to its model.

    \b
    lakehop reindex --embedding-model all-MiniLM-L6-v2 --tenant acme
    """
    from infra.cli.render import print_versions
    from infra.dag_runs.index import reindex as run

    emit(as_json, run(settings(), embedding_model, tenant, say), print_versions)


@click.command()
@one_tenant_option
@json_option
def reconcile(tenant: str | None, as_json: bool) -> None:
    """Compare Milvus with Delta row by row and repair the differences, by the DAG `reconcile`.

    \b
    lakehop reconcile --tenant acme
    """
    from infra.cli.render import print_reconciled
    from infra.dag_runs.index import reconcile as run

    emit(as_json, run(settings(), tenant, say), print_reconciled)


COMMANDS = (ingest, search, ask, passage, replay, forget, reindex, reconcile)
