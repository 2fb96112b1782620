"""Prints the commands' results for a person. With `--json` none of this runs."""

import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.terminal import plain

JsonDocument = Mapping[str, Any]
STATE_STYLES = {"healthy": "green", "starting": "yellow", "stopped": "red", "unreachable": "red"}
# A pipe has no edge to wrap at.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 250)


def print_parts(document: JsonDocument) -> None:
    """A line a part: state, address, processes, memory; below, each unhealthy part's reason and log."""
    table = _table("part", "state", "address", "pid", "MB")
    for part in document["parts"]:
        state = f"[{STATE_STYLES[part['state']]}]{part['state']}[/]"
        pids = " ".join(map(str, part["pids"])) or ("" if part["local"] else "elsewhere")
        table.add_row(part["name"], state, escape(part["address"]), pids, str(part["rss_mb"] or ""))
    console.print(table)
    for part in document["parts"]:
        if part["reason"]:
            log = f" Log: {part['log']}" if part["log"] else ""
            console.print(escape(f"{part['name']}: {part['reason']}.{log}"))


def print_status(document: JsonDocument) -> None:
    """The parts, then every setting by its environment variable."""
    print_parts(document)
    table = _table("setting", "value")
    for name, value in document["settings"].items():
        table.add_row(name, escape(str(value)))
    console.print(table)


def print_ingest(document: JsonDocument) -> None:
    """The counts of one ingest as sentences."""
    documents, chunks = document["documents"], document["chunks"]
    console.print("documents: " + ", ".join(f"{count} {name}" for name, count in documents.items()))
    console.print(
        f"chunks: {chunks['written']} written, {chunks['deleted']} deleted; "
        f"{document['embedded']} embedded; {document['seconds']} s; run {escape(document['run_id'])}"
    )
    if documents["quarantined"]:
        console.print(f"[bold]{documents['quarantined']} refused[/]; the others are in")
        for refusal in document.get("refusals", ()):
            console.print(escape(f"  {refusal['documents']} {refusal['kind']}, e.g. {refusal['example']}"))
        console.print('reasons: `lakehop sql "select ingest_run_id, doc_id, reason from bronze.quarantine"`')


def print_versions(document: JsonDocument) -> None:
    """The live index, a line a tenant."""
    columns = ("tenant", "collection", "embedding_model", "dimension", "chunks", "recall", "rebuilt")
    print_rows({"columns": columns, "rows": document["tenants"]})
    console.print(f"{document['seconds']} s; run {escape(document['run_id'])}")


def print_reconciled(document: JsonDocument) -> None:
    """The repaired differences, a line a tenant."""
    columns = ("tenant", "collection", "chunks", "missing", "extra", "stale_text", "stale_permissions", "stale_counts")
    print_rows({"columns": columns, "rows": document["tenants"]})
    console.print(f"{document['seconds']} s; run {escape(document['run_id'])}")


def print_forget(document: JsonDocument) -> None:
    """The removed rows by table, and the proof."""
    removed = [{"place": place, "rows removed": rows} for place, rows in document["removed"].items()]
    print_rows({"columns": ("place", "rows removed"), "rows": removed})
    proof = document["proof"]
    console.print(
        f"{document['files_purged']} files purged; proof: {proof['rows_left']} rows left in "
        f"{proof['places_read']} places, all read; {document['seconds']} s; run {escape(document['run_id'])}"
    )


def print_replay(document: JsonDocument) -> None:
    """How many refused items were ingested now."""
    console.print(
        f"{document['replayed']} replayed: {document['resolved']} resolved, {document['still_open']} still open"
    )
    if document["run_ids"]:
        print_ingest(document)


def print_search(document: JsonDocument) -> None:
    """Documents by their best passages, best first."""
    for place, passage in enumerate(document["results"], 1):
        console.print(
            f"[bold]{place}. {escape(passage['title'])}[/]  {passage['score']:.3f}  {escape(passage['doc_id'])}"
        )
        if path := _path_text(passage):
            console.print(f"   [dim]{escape(path)}[/]")
        for text in (passage["text"], *(other["text"] for other in passage.get("more", []))):
            console.print(f"   {escape(short(text, 300))}")
    if not document["results"]:
        console.print("No passage found that these groups may read.")
    if token := document.get("next_page_token"):
        console.print(f"[dim]More: repeat with --page-token {token}[/]", soft_wrap=True)
    usage = document["usage"]
    cost = f", ordered by a model for ${usage['usd']}" if usage["calls"] else ""
    console.print(f"[dim]{document['took_ms']:,.0f} ms{cost}[/]")


_CONNECTIONS = {
    "names": "names “{via}” →",
    "named_by": "is named by, as “{via}” →",
    "links_to": "links to {via} →",
    "linked_from": "is linked from the next one, as {via} →",
    "shares": "shares “{via}” with →",
    "continues": "leaves the rest to →",
}


def _path_text(passage: JsonDocument) -> str:
    """The path of a multi-hop search to a passage, in words; empty in other modes."""
    if passage.get("probability") is None:
        return ""
    steps = [f"“{step['title']}” {_CONNECTIONS[step['how']].format(via=step['via'])}" for step in passage["path"]]
    covers = [f"covers {', '.join(passage['covers'])}"] if passage["covers"] else []
    path = " ".join([*steps, "this one"]) if steps else "found by the question itself"
    return "; ".join([f"needed with {passage['probability']:.0%}", path, *covers])


def print_rows(document: JsonDocument) -> None:
    """Rows of a query; NULL and an empty string look different."""
    table = _table(*document["columns"])
    for row in document["rows"]:
        table.add_row(*(_cell(row[column]) for column in document["columns"]))
    console.print(table)
    console.print(f"[dim]{len(document['rows'])} rows[/]")


def print_programs(document: JsonDocument) -> None:
    """The compiled versions of a tenant's programs."""
    columns = (
        "program", "version", "optimizer", "live", "score_before", "score_after", "usd_per_success_before",
        "usd_per_success_after", "tested_on", "why", "created_at",
    )  # fmt: skip
    print_rows({"columns": columns, "rows": document["versions"]})


def print_keys(document: JsonDocument) -> None:
    """The API keys."""
    columns = ("key_id", "tenant", "groups", "app", "daily_usd", "spent_today_usd", "created_at", "revoked_at")
    print_rows({"columns": columns, "rows": [{**key, "groups": ",".join(key["groups"])} for key in document["keys"]]})


def print_memory(document: JsonDocument) -> None:
    """A user's memories."""
    columns = ("memory_id", "app", "kind", "text", "question", "doc_ids", "version", "written_at", "expires_at")
    rows = [{**entry, "doc_ids": ", ".join(entry["doc_ids"])} for entry in document["entries"]]
    print_rows({"columns": columns, "rows": rows})


def print_record(document: JsonDocument) -> None:
    """A record as names and values."""
    table = _table("", "")
    for name, value in document.items():
        table.add_row(name, _cell(value))
    console.print(table)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_header=any(columns))
    for column in columns:
        table.add_column(escape(column), overflow="fold")
    return table


def _cell(value: Any) -> str:
    return "[dim]NULL[/]" if value is None else escape(plain(value))


def short(text: str, length: int) -> str:
    """A text in one line, cut to so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"
