"""What was refused has one open row, whose reason is the newest; a replay takes in that and nothing else."""

from typing import Any

import pytest

from lakehouse.tables import DOCUMENTS, QUARANTINE
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.slow]

GOOD = {"id": "good", "text": "Fine."}
BAD_LINE, BAD_GROUPS = b"{bad", {"id": "pay", "text": "Salaries.", "groups": "hr"}


def refused(lake: Lake) -> list[tuple[Any, ...]]:
    rows = sorted(lake.rows(QUARANTINE), key=lambda row: (row["uri"], row["number"]))
    return [(row["number"], row["doc_id"], row["ingest_run_id"], row["resolved_by"]) for row in rows]


def test_a_replay_takes_in_what_was_fixed_and_touches_nothing_else(lake: Lake) -> None:
    first = {"id": "good", "text": "The same id again."}
    lake.parse(lake.write(GOOD, BAD_LINE, BAD_GROUPS, first), groups="staff", run_id="one")
    assert refused(lake) == [(2, None, "one", None), (3, "pay", "one", None), (4, "good", "one", None)]
    row = lake.rows(QUARANTINE)[0]
    assert (row["paths"], row["default_groups"]) == ([str(lake.folder / "input.jsonl")], ["staff"])

    # line 2 is fixed, line 3 is wrong in another way, line 4 is as it was; line 1 changed and nobody asked for it
    path = lake.write(
        GOOD, {"id": "new", "text": "Was bad."}, {"id": "pay", "text": " "}, first, {"id": "x", "text": "x"}
    )
    counts = lake.parse(path, groups="staff", run_id="two", replay=["one"])

    assert (counts["seen"], counts["added"], counts["quarantined"]) == (4, 1, 2)
    assert refused(lake) == [(2, None, "one", "two"), (3, "pay", "two", None), (4, "good", "two", None)]
    reasons = {row["doc_id"]: row["reason"] for row in lake.rows(QUARANTINE)}
    assert reasons["pay"].startswith("line 3: empty text")
    documents = {row["doc_id"]: (row["text"], row["acl_groups"]) for row in lake.rows(DOCUMENTS)}
    assert documents == {"good": ("Fine.", ["staff"]), "new": ("Was bad.", ["staff"])}

    assert lake.parse(path, groups="staff", run_id="two", replay=["one"]) == counts  # a retry
    assert refused(lake) == [(2, None, "one", "two"), (3, "pay", "two", None), (4, "good", "two", None)]


def test_an_ordinary_ingest_settles_what_it_meets_of_its_own_source(lake: Lake) -> None:
    root = lake.folder / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a.md").write_bytes(b"caf\xc3\xa9 \xe9")
    (root / "b.md").write_bytes(b"")
    (lake.folder / "docs2").mkdir()
    (lake.folder / "docs2" / "c.md").write_bytes(b"")
    lake.parse(root, run_id="one")
    lake.parse(lake.folder / "docs2", run_id="elsewhere")

    (root / "sub" / "a.md").write_text("café")
    lake.parse(root, run_id="two")

    assert refused(lake) == [(0, "b.md", "two", None), (0, "sub/a.md", "one", "two"), (0, "c.md", "elsewhere", None)]

    (root / "b.md").unlink()
    (root / "new.md").write_text("A replay does not look at it.")
    counts = lake.parse(root, run_id="three", replay=["two"])
    assert counts == {"seen": 0, "added": 0, "changed": 0, "unchanged": 0, "deleted": 0, "quarantined": 0, "skipped": 0}
    assert refused(lake)[0] == (0, "b.md", "two", "three")
    assert {row["doc_id"] for row in lake.rows(DOCUMENTS)} == {"sub/a.md"}
