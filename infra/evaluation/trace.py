"""One task as a tree: its sub-tasks, their hops, every call with its cost, and which of them its time went by.

Built from call records alone, those in the spool and those in the lakehouse, so that it can be drawn for any task that
ever ran: they hold no text, so neither does the tree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from lakehouse.costs.call_records import CallRecord, Spool
from lakehouse.errors import NotFound
from lakehouse.settings import Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import LLM_CALLS

TASK = "invoke_agent"  # the record of the task itself, written when it ends
RUNNING = "running"  # or its process died
CLOCK_SLACK = timedelta(milliseconds=1)  # a start is read from one clock, a duration from another

Branch = dict[str, Any]
"""A node of the tree, as JSON: `kind` (sub_task, hop or call), `name`, times and sums, and `children` but of a call."""


@dataclass
class Sums:
    """What some calls cost together."""

    model_calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal

    @classmethod
    def of(cls, calls: Iterable[CallRecord]) -> "Sums":
        """Summed over calls."""
        done = list(calls)
        return cls(
            sum(one.operation == "chat" for one in done),
            sum(one.input_tokens for one in done),
            sum(one.cached_tokens for one in done),
            sum(one.output_tokens for one in done),
            sum((one.usd for one in done), Decimal(0)),
        )


def trace(settings: Settings, task_id: str) -> dict[str, Any]:
    """The task of that id as a JSON document. Raises NotFound when nothing knows it."""
    if not (records := task_records(settings, task_id)):
        raise NotFound(
            f"task {task_id!r}: no record of it in the spool at {str(settings.spool_dir)!r} nor in {LLM_CALLS.name}. "
            "Take the task_id of an answer; a task of a gateway elsewhere is here after `lakehop costs flush`."
        )
    return task_tree(records)


def task_records(settings: Settings, task_id: str) -> list[CallRecord]:
    """Its records, each once. The spool is read first: records go from there to the table, never back."""
    spooled = [CallRecord.from_json(line) for line in Spool.lines(settings.spool_dir) if task_id in line]
    found = {record.call_id: record for record in spooled if record.task_id == task_id}
    names = [field.name for field in fields(CallRecord)]
    for row in read_rows(settings, LLM_CALLS, [("task_id", "=", task_id)]):
        # a table that nobody wrote to since a column was declared lacks it
        found[row["call_id"]] = CallRecord(**{name: row[name] for name in names if name in row})
    return list(found.values())


def task_tree(records: Sequence[CallRecord]) -> dict[str, Any]:
    """Totals, and the tree below: what belongs to a sub-task in one branch for each, all in the order of beginning."""
    calls = sorted((one for one in records if one.operation != TASK), key=lambda one: one.started_at)
    ended = next((one for one in records if one.operation == TASK), None)
    first = ended or calls[0]
    path = critical_path(calls)
    critical = {one.call_id for one in path}
    last = max(map(_end, calls), default=first.started_at)
    return {
        "task_id": first.task_id,
        "tenant": first.tenant_id,
        "program": first.program,
        "program_version": first.program_version,
        "status": ended.outcome if ended else RUNNING,
        "error": ended.error if ended else None,
        "started_at": first.started_at,
        "ms": ended.latency_ms if ended else _ms(last - first.started_at),
        "calls": len(calls),
        **asdict(Sums.of(calls)),
        "critical_calls": len(path),
        "critical_ms": sum(one.latency_ms for one in path),
        "children": _branches(calls, first, critical),
    }


def critical_path(calls: Sequence[CallRecord]) -> list[CallRecord]:
    """The calls that the task's time went by, first to last: back from the last end, always to the one that ended last
    before that one began. To be faster, the task needs one of these to be."""
    path: list[CallRecord] = []
    left = sorted(calls, key=_end)
    while left:
        path.append(left.pop())
        begun = path[-1].started_at
        left = [one for one in left if one.started_at < begun and _end(one) <= begun + CLOCK_SLACK]
    return path[::-1]


def _branches(calls: Sequence[CallRecord], first: CallRecord, critical: set[str]) -> list[Branch]:
    by_sub_task: dict[str, list[CallRecord]] = {}
    outside = []
    for one in calls:
        if one.sub_task is None:
            outside.append(one)
        else:
            by_sub_task.setdefault(one.sub_task, []).append(one)
    branches = _hops(outside, first, critical)
    for id, inside in by_sub_task.items():
        branches.append(_branch("sub_task", id, inside, _hops(inside, first, critical), first))
    return sorted(branches, key=lambda branch: branch["at_ms"])


def _hops(calls: Sequence[CallRecord], first: CallRecord, critical: set[str]) -> list[Branch]:
    """A branch for each hop; what belongs to none, as planning does, stands alone."""
    branches = []
    for hop, group in groupby(calls, key=lambda one: one.hop):
        inside = list(group)
        leaves = [_leaf(one, first, one.call_id in critical) for one in inside]
        branches += [_branch("hop", f"hop {hop}", inside, leaves, first)] if hop else leaves
    return branches


def _branch(kind: str, name: str, calls: Sequence[CallRecord], children: Sequence[Branch], first: CallRecord) -> Branch:
    begun = min(one.started_at for one in calls)
    return {
        "kind": kind,
        "name": name,
        "at_ms": _ms(begun - first.started_at),
        "ms": _ms(max(map(_end, calls)) - begun),
        **asdict(Sums.of(calls)),
        "critical": any(child["critical"] for child in children),
        "children": list(children),
    }


def _leaf(call: CallRecord, first: CallRecord, is_critical: bool) -> Branch:
    return {
        "kind": "call",
        "name": call.agent,
        "operation": call.operation,
        "call_id": call.call_id,
        "attempt": call.attempt,
        "at_ms": _ms(call.started_at - first.started_at),
        "ms": call.latency_ms,
        **asdict(Sums.of([call])),
        "outcome": call.outcome,
        "error": call.error,
        "critical": is_critical,
    }


def _end(call: CallRecord) -> datetime:
    return call.started_at + timedelta(milliseconds=call.latency_ms)


def _ms(span: timedelta) -> float:
    return round(span / timedelta(milliseconds=1), 3)
