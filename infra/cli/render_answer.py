"""An answer and its evidence as a person reads them."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from infra.cli.render import JsonDocument, console, short

_QUOTED = 200  # characters of a quote
_SHOWN = 160  # characters of a step


def print_answer(document: JsonDocument) -> None:
    """The hops, the answer, its citations, its cost."""
    for step in document["steps"]:
        console.print(f"[dim]{_step(step)}[/]")
    if understood := document.get("question"):
        console.print(f"[dim]understood as: {escape(understood)}[/]")
    console.print()
    _print_text(document)
    for number, citation in enumerate(document["citations"], 1):
        _print_citation(f"[{number}]", citation)
    for citation in document.get("nearest", ()):
        _print_citation("nearest:", citation)
    for what, texts in (
        ("no citation carries", document.get("uncited", ())),
        ("left out, no passage supports it", document.get("dropped", ())),
    ):
        for text in texts:
            console.print(f"  [yellow]{what}[/]: “{escape(short(text, _QUOTED))}”")
    if document.get("documents_read") is not None:
        console.print(f"  {document['documents_read']} documents read, {document['documents_left']} more found")
    _print_cost(document)


def print_passage(document: JsonDocument) -> None:
    """A passage in its document: its place, then the texts in their order, the passage's own in bold."""
    place = f"chunk {document['number']} of {document['chunks']}"
    console.print(f"[bold]{escape(_name(document))}[/]  {place}")
    facts = (document["doc_id"], document["uri"], document["author"], document["updated_at"])
    console.print(f"[dim]{escape('  '.join(filter(None, facts)))}[/]")
    for before in document["before"]:
        console.print("\n" + escape(before["text"]), style="dim")
    console.print("\n" + escape(document["text"]), style="bold")
    for after in document["after"]:
        console.print("\n" + escape(after["text"]), style="dim")


def with_numbers(answer: str, statements: Sequence[JsonDocument]) -> str:
    """The answer's text with the numbers of its citations after each statement, e.g. `[1][3]`."""
    numbered, at = "", 0
    for statement in statements:
        found = answer.find(statement["text"], at)
        if found < 0:  # told by the list of citations alone
            continue
        end = found + len(statement["text"])
        end += answer[end : end + 1] in (".", "。")
        numbered += answer[at:end] + _numbers(statement["citations"])
        at = end
    return numbered + answer[at:]


def _print_text(document: JsonDocument) -> None:
    text = with_numbers(document["answer"], document.get("statements", ()))
    if "\n" in text:  # a list, steps or a table: the status does not belong to its last line
        console.print(f"({document['status']}, {document.get('form') or 'fact'})")
        console.print(escape(text), style="bold")
    else:
        console.print(f"[bold]{escape(text) or '(no answer)'}[/]  ({document['status']})")


def _numbers(places: Sequence[int]) -> str:
    return " " + "".join(f"[{place + 1}]" for place in places) if places else ""


def _print_citation(mark: str, citation: JsonDocument) -> None:
    address = citation.get("uri") or ""
    console.print(
        f"  {escape(mark)} [cyan]{escape(_name(citation))}[/]  {escape(citation['doc_id'])}  [dim]{escape(address)}[/]"
    )
    console.print(f"      “{escape(short(citation['quote'], _QUOTED))}”")


def _name(passage: JsonDocument) -> str:
    """Title and headings, e.g. `anyio › Why › Cancellation`; the document's id where there is neither."""
    title, heading = passage.get("title") or "", passage.get("heading") or ""
    return " › ".join(filter(None, (title, heading))) or str(passage["doc_id"])


def _print_cost(document: JsonDocument) -> None:
    usage = document["usage"]
    console.print(
        f"[dim]{usage['calls']} calls, {usage['input_tokens']} tokens in ({usage['cached_tokens']} cached), "
        f"{usage['output_tokens']} out, ${usage['usd']}, {document['latency_s']:.1f} s, task {document['task_id']}[/]"
    )


def _step(step: dict[str, Any]) -> str:
    head = f"  hop {step['hop']}  {step['kind']} {step.get('agent') or ''}"
    texts = (step.get("query"), step.get("output"))
    text = ": ".join(map(str, texts)) if step["kind"] == "note" else next(filter(None, texts), "")
    titles = ", ".join(passage["title"] for passage in step.get("passages") or ())
    return escape(" | ".join(filter(None, (head, short(str(text), _SHOWN), short(titles, _SHOWN)))))
