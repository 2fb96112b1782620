"""A task as a tree: sub-tasks, hops, every call with its cost, and the critical path.

Built only from the call records in the spool and the lakehouse, so it works for any past task. Call records hold no
text, so the tree holds none.
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

TASK = "invoke_agent"  # operation of the record of the task itself, written when the task ends
RUNNING = "running"  # no such record: the task runs, or its process died
CLOCK_SLACK = timedelta(milliseconds=1)  # starts and durations come from two clocks

Branch = dict[str, Any]
"""A node of the tree as JSON: `kind` (sub_task, hop or call), `name`, times, sums; `children` unless it is a call."""


@dataclass
class CallTotals:
    """Calls, tokens and money of several calls together."""

    model_calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal

    @classmethod
    def of(cls, calls: Iterable[CallRecord]) -> "CallTotals":
        """The sums over calls."""
        records = list(calls)
        return cls(
            sum(record.operation == "chat" for record in records),
            sum(record.input_tokens for record in records),
            sum(record.cached_tokens for record in records),
            sum(record.output_tokens for record in records),
            sum((record.usd for record in records), Decimal(0)),
        )


def trace(settings: Settings, task_id: str) -> dict[str, Any]:
    """The task as a JSON document. Raises NotFound when there is no record of it."""
    if not (records := task_records(settings, task_id)):
        raise NotFound(
            f"task {task_id!r}: no record of it in the spool at {str(settings.spool_dir)!r} nor in {LLM_CALLS.name}. "
            "Use the task_id of an answer; a remote gateway's task appears after `lakehop costs flush`."
        )
    return task_tree(records)


def task_records(settings: Settings, task_id: str) -> list[CallRecord]:
    """The task's records, each once. The spool is read first, because records move from the spool to the table."""
    spooled = [CallRecord.from_json(line) for line in Spool.lines(settings.spool_dir) if task_id in line]
    records = {record.call_id: record for record in spooled if record.task_id == task_id}
    names = [field.name for field in fields(CallRecord)]
    for row in read_rows(settings, LLM_CALLS, [("task_id", "=", task_id)]):
        # an old table lacks columns that were declared after its last write
        records[row["call_id"]] = CallRecord(**{name: row[name] for name in names if name in row})
    return list(records.values())


def task_tree(records: Sequence[CallRecord]) -> dict[str, Any]:
    """Totals and the tree below them, in order of start; the calls of a sub-task are one branch."""
    calls = sorted((record for record in records if record.operation != TASK), key=lambda call: call.started_at)
    ended = next((record for record in records if record.operation == TASK), None)
    first = ended or calls[0]
    path = critical_path(calls)
    critical = {call.call_id for call in path}
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
        **asdict(CallTotals.of(calls)),
        "critical_calls": len(path),
        "critical_ms": sum(call.latency_ms for call in path),
        "children": _branches(calls, first, critical),
    }


def critical_path(calls: Sequence[CallRecord]) -> list[CallRecord]:
    """The calls that determine the task's duration, first to last: to speed up the task, speed up one of them.

    Found backwards from the last call to end: before each call stands the call that ended last before it began.
    """
    path: list[CallRecord] = []
    earlier = sorted(calls, key=_end)
    while earlier:
        path.append(earlier.pop())
        began = path[-1].started_at
        earlier = [call for call in earlier if call.started_at < began and _end(call) <= began + CLOCK_SLACK]
    return path[::-1]


def _branches(calls: Sequence[CallRecord], first: CallRecord, critical: set[str]) -> list[Branch]:
    by_sub_task: dict[str, list[CallRecord]] = {}
    outside = []
    for call in calls:
        if call.sub_task is None:
            outside.append(call)
        else:
            by_sub_task.setdefault(call.sub_task, []).append(call)
    branches = _hops(outside, first, critical)
    for id, inside in by_sub_task.items():
        branches.append(_branch("sub_task", id, inside, _hops(inside, first, critical), first))
    return sorted(branches, key=lambda branch: branch["at_ms"])


def _hops(calls: Sequence[CallRecord], first: CallRecord, critical: set[str]) -> list[Branch]:
    """A branch for each hop; calls outside any hop, such as planning, are leaves."""
    branches = []
    for hop, group in groupby(calls, key=lambda call: call.hop):
        inside = list(group)
        leaves = [_leaf(call, first, call.call_id in critical) for call in inside]
        branches += [_branch("hop", f"hop {hop}", inside, leaves, first)] if hop else leaves
    return branches


def _branch(kind: str, name: str, calls: Sequence[CallRecord], children: Sequence[Branch], first: CallRecord) -> Branch:
    began = min(call.started_at for call in calls)
    return {
        "kind": kind,
        "name": name,
        "at_ms": _ms(began - first.started_at),
        "ms": _ms(max(map(_end, calls)) - began),
        **asdict(CallTotals.of(calls)),
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
        **asdict(CallTotals.of([call])),
        "outcome": call.outcome,
        "error": call.error,
        "critical": is_critical,
    }


def _end(call: CallRecord) -> datetime:
    return call.started_at + timedelta(milliseconds=call.latency_ms)


def _ms(span: timedelta) -> float:
    return round(span / timedelta(milliseconds=1), 3)
