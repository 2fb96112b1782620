"""The spool loses no acknowledged record: not by kill -9, not by sealing while others write, not by a full disk."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakehouse.costs.call_records import CallRecord, Spool, segment_lines
from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import PROJECT_ROOT
from lakehouse.tables import LLM_CALLS


def record(call_id: str = "c1", **changes: Any) -> CallRecord:
    return CallRecord(
        **{
            "call_id": call_id,
            "task_id": "t1",
            "operation": "chat",
            "started_at": datetime(2026, 11, 3, 12, 0, tzinfo=UTC),
            "latency_ms": 12.5,
            "tenant_id": "acme",
            "app": "wiki",
            "key_id": "k1",
            "program": "multihop",
            "program_version": "uncompiled",
            "agent": "read",
            "outcome": "ok",
        }
        | changes
    )


def sealed_ids(folder: Path) -> list[str]:
    Spool.seal(folder)
    return [json.loads(line)["call_id"] for path in (folder / "sealed").iterdir() for line in segment_lines(path)]


def test_a_record_has_the_columns_of_the_table_but_when_it_was_loaded() -> None:
    assert [field.name for field in fields(CallRecord)] == [n for n in LLM_CALLS.column_names if n != "loaded_at"]


def test_a_record_survives_json_exactly() -> None:
    original = record(usd=Decimal("0.0000012345"), saved_usd=Decimal("1E-10"), error='line\nbreak "ü" \u2028', hop=2)

    line = original.to_json()
    assert "\n" not in line
    assert CallRecord.from_json(line) == original


def test_money_and_time_in_json_are_text_of_one_form() -> None:
    in_tokyo = datetime(2026, 11, 3, 21, 0, tzinfo=timezone(timedelta(hours=9)))
    plain = json.loads(record(usd=Decimal("1E-10"), started_at=in_tokyo).to_json())

    assert plain["usd"] == "0.0000000001"
    assert plain["saved_usd"] == "0.0000000000"
    assert plain["started_at"] == "2026-11-03T12:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"started_at": datetime(2026, 1, 1)}, "started_at=.* has no time zone"),  # noqa: DTZ001
        ({"usd": 0.1}, "usd=0.1: must be a Decimal with at most 10 places"),
        ({"saved_usd": Decimal("0.00000000001")}, "saved_usd=Decimal.'1E-11'.: must be a Decimal"),
        ({"usd": Decimal("NaN")}, "usd=Decimal.'NaN'.: must be a Decimal"),
    ],
)
def test_a_record_that_could_not_be_loaded_is_refused_when_it_is_made(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        record(**changes)


@pytest.mark.parametrize("line", ["", "nonsense", "[]", "{}", '{"call_id": "c1"}'])
def test_a_line_that_is_no_record_is_named(line: str) -> None:
    with pytest.raises(InvalidInput, match="A record is JSON with call_id, task_id"):
        CallRecord.from_json(line)


def test_sealing_moves_what_was_appended_and_writers_go_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(record("a"), record("b"))
    (first,) = Spool.seal(tmp_path)
    spool.append(record("c"))
    (second,) = Spool.seal(tmp_path)

    assert [CallRecord.from_json(line) for line in segment_lines(first)] == [record("a"), record("b")]
    assert [CallRecord.from_json(line) for line in segment_lines(second)] == [record("c")]
    assert Spool.seal(tmp_path) == []
    assert list((tmp_path / "open").iterdir()) == []


def test_sealing_a_folder_that_no_service_has_used_finds_nothing(tmp_path: Path) -> None:
    assert Spool.seal(tmp_path / "spool") == []


def test_appending_nothing_writes_nothing(tmp_path: Path) -> None:
    Spool(tmp_path).append()
    assert list(tmp_path.iterdir()) == []


def test_a_last_line_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    segment = tmp_path / "s.jsonl"
    segment.write_bytes(record("a").to_json().encode() + b'\n{"call_id": "tor')
    assert list(segment_lines(segment)) == [record("a").to_json()]


def test_a_write_that_fails_half_way_glues_no_records_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    spool.append(record("a"))
    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", _no_space)
        with pytest.raises(Unavailable, match=r"call records cannot be written to .*No space left.*Free or repair"):
            spool.append(record("lost"))
    spool.append(record("b"))

    assert sorted(sealed_ids(tmp_path)) == ["a", "b"]


def _no_space(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


def run_script(script: str, folder: Path) -> str:
    command = [sys.executable, "-c", script, str(folder)]
    return subprocess.run(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from lakehouse.errors import Unavailable
from lakehouse.costs.call_records import CallRecord, Spool
from tests.lakehouse.costs.test_call_records import record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
one = len(record("000").to_json()) + 1
resource.setrlimit(resource.RLIMIT_FSIZE, (one * 5 // 2, resource.RLIM_INFINITY))
spool = Spool(Path(sys.argv[1]))
for number in range(7):
    try:
        spool.append(record(f"{number:03}"))
        print(f"{number:03}")
    except Unavailable:
        pass
"""


def test_records_after_a_real_short_write_are_whole(tmp_path: Path) -> None:
    """The kernel lets a file grow to two and a half records, so every third append is cut in the middle."""
    acknowledged = run_script(FULL_DISK, tmp_path)

    assert acknowledged.split() == ["000", "001", "003", "004", "006"]
    assert sorted(sealed_ids(tmp_path)) == ["000", "001", "003", "004", "006"]


FORK = """
import os, sys
from pathlib import Path
from lakehouse.costs.call_records import Spool
from tests.lakehouse.costs.test_call_records import record
spool = Spool(Path(sys.argv[1]))
spool.append(record("parent"))
child = os.fork()
if child == 0:
    spool.append(record("child"))
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
spool.append(record("parent again"))
"""


def test_a_forked_child_writes_its_own_segment(tmp_path: Path) -> None:
    run_script(FORK, tmp_path)

    assert sorted(len(list(segment_lines(path))) for path in Spool.seal(tmp_path)) == [1, 2]
    assert sorted(sealed_ids(tmp_path)) == ["child", "parent", "parent again"]


WRITER = """
import sys
from pathlib import Path
from lakehouse.costs.call_records import Spool
from tests.lakehouse.costs.test_call_records import record
spool = Spool(Path(sys.argv[1]))
for number in range(1_000_000):
    call_id = f"{sys.argv[2]}-{number}"
    spool.append(record(call_id))
    sys.stdout.write(call_id + "\\n")  # the acknowledgement
    sys.stdout.flush()
"""


def test_kill_9_loses_no_acknowledged_record(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(life)]
        with subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            acknowledged.append(writer.stdout.readline().decode().strip())
            time.sleep(0.1)
            Spool.seal(tmp_path)  # while it writes
            time.sleep(0.1 + life * 0.0137)
            writer.send_signal(signal.SIGKILL)
            lines = writer.stdout.read().decode().split("\n")
            acknowledged += lines[:-1]  # the last one may be cut off

    ids = sealed_ids(tmp_path)
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(ids)
    assert max(Counter(ids).values()) == 1
    assert len(ids) - len(acknowledged) <= 4  # written, then killed before it could say so


def _append_as_process(folder: str, process: int, threads: int, each: int) -> None:
    spool = Spool(Path(folder))

    def append(thread: int) -> None:
        for number in range(each):
            spool.append(record(f"{process}-{thread}-{number}"))

    workers = [threading.Thread(target=append, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def test_threads_and_processes_lose_nothing_while_two_others_seal(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_append_as_process, args=(str(tmp_path), number, 3, 40)) for number in range(3)]
    for writer in writers:
        writer.start()
    stop = threading.Event()
    sealed: list[Path] = []

    def keep_sealing() -> None:
        while not stop.wait(0.003):
            sealed.extend(Spool.seal(tmp_path))

    sealers = [threading.Thread(target=keep_sealing) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    for writer in writers:
        writer.join(120)
    stop.set()
    for sealer in sealers:
        sealer.join()

    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    expected = sorted(f"{p}-{t}-{n}" for p in range(3) for t in range(3) for n in range(40))
    assert sorted(sealed_ids(tmp_path)) == expected
    assert len(sealed) == len(set(sealed))  # no segment was handed to two sealers
