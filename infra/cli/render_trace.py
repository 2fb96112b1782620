"""A task's tree as lines of text."""

from collections.abc import Sequence

from rich.markup import escape

from infra.cli.render import JsonDocument, console


def print_trace(document: JsonDocument) -> None:
    """Totals and the tree; lines with an error are red."""
    for line in tree_lines(document):
        console.print(f"[red]{escape(line)}[/]" if "! " in line else escape(line))


def tree_lines(document: JsonDocument) -> list[str]:
    """The tree as text: totals first, then a line a node; `*` marks the critical path."""
    lines = [
        f"{document['task_id']}  {document['program']} ({document['program_version']}) for {document['tenant']}: "
        f"{document['status']}, {_took(document)}, {document['calls']} calls, {_cost(document)}",
        f"* the critical path: {document['critical_calls']} calls, {document['critical_ms']:,.0f} ms together",
    ]
    lines += [f"! {document['error']}"] if document["error"] else []
    return lines + _below(document["children"], "")


def _below(children: Sequence[JsonDocument], indent: str) -> list[str]:
    lines = []
    for number, child in enumerate(children, 1):
        is_last = number == len(children)
        lines.append(f"{indent}{'└─' if is_last else '├─'} {_line(child)}")
        lines += _below(child.get("children", ()), indent + ("   " if is_last else "│  "))
    return lines


def _line(node: JsonDocument) -> str:
    name = f"sub-task {node['name']}" if node["kind"] == "sub_task" else node["name"]
    mark = "* " if node["critical"] and node["kind"] == "call" else ""
    parts = [f"{mark}{name}", node.get("operation", ""), f"at {node['at_ms']:,.0f} ms", _took(node)]
    parts += [f"attempt {node['attempt']}"] if node.get("attempt", 1) > 1 else []
    parts += [_cost(node)] if node["model_calls"] or node["usd"] else []
    parts += [f"! {node['error']}"] if node.get("error") else []
    return "  ".join(filter(None, parts))


def _took(node: JsonDocument) -> str:
    return f"{node['ms']:,.0f} ms"


def _cost(node: JsonDocument) -> str:
    cached = f" ({node['cached_tokens']:,} cached)" if node["cached_tokens"] else ""
    return f"{node['input_tokens']:,} tokens in{cached}, {node['output_tokens']:,} out, ${node['usd']:f}"
