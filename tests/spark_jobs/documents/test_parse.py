"""What lies at a path, as rows of `bronze.documents` and `bronze.quarantine`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.errors import InvalidInput
from lakehouse.tables import DOCUMENTS, QUARANTINE
from spark_jobs.sources.folders import local_files
from tests.spark_jobs.conftest import Lake
from tests.spark_jobs.formats import samples

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PLAN = {"id": "plan", "title": "Plan", "text": "Launch is in May."}
TEAM = {"id": "team", "title": "Team", "text": "Mia leads.", "groups": ["hr"], "updated_at": "2026-11-05T09:30:00Z"}


def documents(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["doc_id"]: row for row in lake.rows(DOCUMENTS)}


def reasons(lake: Lake) -> list[str]:
    return sorted(row["reason"] for row in lake.rows(QUARANTINE))


def counts(**given: int) -> dict[str, int]:
    return {"seen": 0, "added": 0, "changed": 0, "unchanged": 0, "deleted": 0, "quarantined": 0, "skipped": 0} | given


def test_rows_of_a_jsonl_file_become_documents(lake: Lake) -> None:
    path = lake.write(PLAN, "", TEAM)

    assert lake.parse(path, groups="staff,eng", run_id="first") == counts(seen=2, added=2)
    row = documents(lake)["plan"]
    assert len(row.pop("content_hash")) == 64
    assert row == {
        "tenant_id": lake.tenant,
        "source": "wiki",
        "doc_id": "plan",
        "title": "Plan",
        "text": "Launch is in May.",
        "uri": f"{path.as_uri()}#plan",
        "acl_groups": ["eng", "staff"],
        "updated_at": None,
        "deleted": False,
        "ingest_run_id": "first",
        "signature": None,
        "document_type": "record",
        "author": None,
    }
    assert documents(lake)["team"]["acl_groups"] == ["hr"]
    assert documents(lake)["team"]["updated_at"] == datetime(2026, 11, 5, 9, 30, tzinfo=UTC)


def test_a_name_with_a_date_and_a_space_in_it_is_found(lake: Lake) -> None:
    path = lake.write(PLAN, name="dt=2026-11-01 ä%20.jsonl")

    assert lake.parse(path) == counts(seen=1, added=1)
    assert documents(lake)["plan"]["uri"] == f"{path.as_uri()}#plan"


def test_only_what_differs_is_written_again(lake: Lake) -> None:
    lake.parse(lake.write(PLAN, TEAM), run_id="first")
    version = lake.version(DOCUMENTS)

    assert lake.parse(lake.write(PLAN, TEAM)) == counts(seen=2, unchanged=2)
    assert lake.version(DOCUMENTS) == version
    assert lake.parse(lake.write(PLAN, TEAM | {"groups": ["hr", "ceo"]}), run_id="third") == counts(
        seen=2, changed=1, unchanged=1
    )
    assert {row["doc_id"]: row["ingest_run_id"] for row in lake.rows(DOCUMENTS)} == {"plan": "first", "team": "third"}


@pytest.mark.parametrize("change", [{"title": "B"}, {"text": "b"}, {"uri": "b"}, {"updated_at": "2027-01-01"}], ids=str)
def test_a_change_of_any_part_is_a_change(lake: Lake, change: dict[str, str]) -> None:
    lake.parse(lake.write(PLAN | {"uri": "a"}))

    assert lake.parse(lake.write(PLAN | {"uri": "a"} | change)) == counts(seen=1, changed=1)


def test_bad_rows_are_quarantined_and_their_neighbours_are_not_lost(lake: Lake) -> None:
    path = lake.write(
        {"id": "first", "text": "ok"},
        b"{not json",
        b"[1, 2]",
        {"text": "no id"},
        {"id": "", "text": "empty id"},
        {"id": 7, "text": "number id"},
        {"id": "blank", "text": "  "},
        {"id": "groups", "text": "x", "groups": "hr"},
        {"id": "when", "text": "x", "updated_at": "soon"},
        b'{"id": "latin", "text": "caf\xe9"}',
        {"id": "large", "text": "x" * 1_000_001},
        b'{"id": "huge", "text": "' + b"x" * 50_000_000 + b'"}',
        {"id": "first", "text": "the same id again"},
        {"id": "last", "text": "ok"},
    )

    assert lake.parse(path, run_id="bad") == counts(seen=14, added=2, quarantined=12)
    assert {key: row["text"] for key, row in documents(lake).items()} == {"first": "ok", "last": "ok"}
    short = {row["reason"].split(":")[0] + ":" + row["reason"].split(":")[1] for row in lake.rows(QUARANTINE)}
    assert short == {
        "line 2: invalid JSON",
        "line 3: a line must be a JSON object with id and text, this is a list. Wrap it in one.",
        "line 4: id is missing",
        "line 5: id ''",
        "line 6: id 7",
        "line 7: empty text",
        "line 8: groups 'hr'",
        "line 9: updated_at 'soon'",
        "line 10: invalid UTF-8",
        "line 11: oversize",
        "line 12: oversize",
        "line 13: duplicate id 'first'",
    }
    row = next(row for row in lake.rows(QUARANTINE) if row["doc_id"] == "latin")
    assert row["excerpt"] == '{"id": "latin", "text": "caf\\xe9"}'
    assert (row["uri"], row["source"], row["ingest_run_id"]) == (path.as_uri(), "wiki", "bad")


def test_lines_as_windows_programs_write_them_are_read(lake: Lake) -> None:
    lines = [
        '\ufeff{"id": "a", "text": "One."}',
        "",
        " ",
        '{"id": "b", "text": "Two\u2028lines. 👩‍🔧"}',
        '{"id": 7, "text": "x"}',
    ]
    path = lake.folder / "LINES.JSONL"
    path.write_bytes("\r\n".join([*lines, ""]).encode())

    assert lake.parse(path) == counts(seen=3, added=2, quarantined=1)
    assert {key: row["text"] for key, row in documents(lake).items()} == {"a": "One.", "b": "Two\u2028lines. 👩‍🔧"}
    assert reasons(lake) == ["line 5: id 7: must be a string, this is a number. Put it in quotes."]


def test_a_retry_of_a_run_leaves_the_same_rows_and_the_same_counts(lake: Lake) -> None:
    path = lake.write(PLAN, TEAM, b"{bad")
    first = lake.parse(path, run_id="again")
    rows, rejected = lake.rows(DOCUMENTS), reasons(lake)

    assert lake.parse(path, run_id="again") == first == counts(seen=3, added=2, quarantined=1)
    assert (lake.rows(DOCUMENTS), reasons(lake)) == (rows, rejected)


def test_a_snapshot_deletes_what_is_gone_but_not_what_became_unreadable(lake: Lake) -> None:
    lake.parse(lake.write(PLAN, TEAM, {"id": "old", "text": "x"}))
    now = lake.write(PLAN, b'{"id": "team", "text": "\xff"}')

    assert lake.parse(now, snapshot=True) == counts(seen=2, unchanged=1, quarantined=1, deleted=1)
    assert {key: row["deleted"] for key, row in documents(lake).items()} == {"plan": False, "team": False, "old": True}
    assert documents(lake)["old"]["text"] == "x"
    assert lake.parse(now, snapshot=True) == counts(seen=2, unchanged=1, quarantined=1)
    assert lake.parse(lake.write({"id": "old", "text": "x"})) == counts(seen=1, changed=1)
    assert documents(lake)["old"]["deleted"] is False


def test_a_snapshot_that_finds_nothing_fails_and_deletes_nothing(lake: Lake, tmp_path: Path) -> None:
    full, empty, emptied = tmp_path / "full", tmp_path / "mountpoint", tmp_path / "emptied.jsonl"
    for folder in (full, empty):
        folder.mkdir()
    (full / "page.md").write_text("Ventil-1 is described here.")
    (empty / ".keep").write_text("")
    emptied.write_bytes(b"")
    lake.parse(full)

    for path in (empty, emptied, [full, empty]):
        with pytest.raises(InvalidInput, match=r"nothing is there.*--allow-deleting"):
            lake.parse(path, snapshot=True)

    assert not documents(lake)["page.md"]["deleted"]
    assert lake.parse(empty, snapshot=True, allow_deleting=True) == counts(deleted=1, skipped=1)


def test_a_snapshot_that_would_delete_most_of_a_source_needs_to_be_allowed(lake: Lake) -> None:
    lake.parse(lake.write(*({"id": f"d{number}", "text": f"Text {number}."} for number in range(6))))
    two = lake.write({"id": "d0", "text": "Text 0."}, {"id": "d1", "text": "Text 1."})

    with pytest.raises(InvalidInput, match="would delete 4 of the 6 documents of source 'wiki'"):
        lake.parse(two, snapshot=True)

    assert not any(row["deleted"] for row in documents(lake).values())
    assert lake.parse(two, snapshot=True, allow_deleting=True) == counts(seen=2, unchanged=2, deleted=4)


def test_one_id_by_two_paths_is_refused_before_anything_is_taken(lake: Lake, tmp_path: Path) -> None:
    for folder in ("hr", "it"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text(f"Text of {folder}.")
    (tmp_path / "it" / "other.md").write_text("Another text.")

    with pytest.raises(InvalidInput) as error:
        lake.parse([tmp_path / "hr", tmp_path / "it"])

    assert all((tmp_path / folder / "README.md").as_uri() in str(error.value) for folder in ("hr", "it"))
    assert documents(lake) == {}
    assert lake.parse([tmp_path / "it", tmp_path / "it"]) == counts(seen=2, added=2)


def test_a_path_that_is_a_link_to_another_folder_now_changes_its_documents(lake: Lake, tmp_path: Path) -> None:
    current = tmp_path / "current"
    for release in ("release-41", "release-42"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "guide.md").write_text(f"Hafenkante, as of {release}.")
        current.unlink(missing_ok=True)
        current.symlink_to(release)
        counted = lake.parse(current, snapshot=True)

    assert counted == counts(seen=1, changed=1)
    assert documents(lake)["guide.md"]["uri"] == (current / "guide.md").as_uri()


def test_a_kind_of_refusal_holds_no_value_of_its_document(lake: Lake) -> None:
    lake.parse(
        lake.write({"id": "a", "text": "x"}, {"id": "a", "text": "y"}, {"id": 5, "text": "x"}, b"{bad", {"id": "b"})
    )

    assert sorted(row["kind"] for row in lake.rows(QUARANTINE)) == [
        "duplicate id …: must be unique in one input",
        "id …: must be a string",
        "invalid JSON",
        "text is missing",
    ]


def test_a_run_without_snapshot_deletes_nothing(lake: Lake) -> None:
    lake.parse(lake.write(PLAN, TEAM))

    assert lake.parse(lake.write(PLAN)) == counts(seen=1, unchanged=1)


def test_a_folder_is_read_whole_but_for_hidden_files(lake: Lake) -> None:
    root = lake.folder / "docs [1] {a}"
    for name, content in {
        "guide.md": b"# Guide\n\nRead it.",
        "_index.md": b"Start here.",
        "sub/a b#c.txt": b"Plain.",
        "sub/job.py": b"x = 1\n",
        "page.html": b"<title>Page</title><p>Hi</p>",
        ".hidden.md": b"no",
        ".git/config.md": b"no",
        "logo.png": b"\x89PNG\0",
        "data.txt": b"a\0b",
        "latin.txt": b"caf\xe9",
        "torn.txt": "café, na".encode() + b"\xc3",
        "empty.md": b"",
        "big.md": b"x" * 1_000_001,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)

    assert lake.parse(root) == counts(seen=11, added=6, quarantined=5, skipped=2)
    assert sum(path.is_file() for path in root.rglob("*")) == 13  # each is accounted for
    assert {key: row["title"] for key, row in documents(lake).items()} == {
        "guide.md": "Guide",
        "_index.md": "_index.md",
        "sub/a b#c.txt": "a b#c.txt",
        "sub/job.py": "job.py",
        "page.html": "Page",
        "latin.txt": "latin.txt",
    }
    assert documents(lake)["latin.txt"]["text"] == "café"
    assert documents(lake)["sub/a b#c.txt"]["uri"] == (root / "sub/a b#c.txt").as_uri()
    assert {row["doc_id"]: row["reason"].split(":")[0] for row in lake.rows(QUARANTINE)} == {
        "logo.png": "unsupported file type '.png'",
        "data.txt": "binary file",
        "torn.txt": "unknown encoding",
        "empty.md": "empty text",
        "big.md": "oversize",
    }
    assert lake.parse(root / "guide.md", snapshot=True, allow_deleting=True) == counts(
        seen=1, changed=0, unchanged=1, deleted=5
    )


def test_what_a_refused_archive_held_is_not_taken_for_deleted(lake: Lake) -> None:
    root = lake.folder / "docs"
    root.mkdir()
    whole = samples.zipped({"a.md": "A.", "sub/b.md": "B.", "old.md": "Old."})
    (root / "pack.zip").write_bytes(whole)
    (root / "pack.zip2.md").write_text("Gone soon.")
    assert lake.parse(root, snapshot=True) == counts(seen=4, added=4)

    (root / "pack.zip").write_bytes(whole[:-30])
    (root / "pack.zip2.md").unlink()
    assert lake.parse(root, snapshot=True) == counts(seen=1, quarantined=1, deleted=1)

    (root / "pack.zip").write_bytes(samples.encrypted_zip({"a.md": "A.", "sub/b.md": "B."}, "sub/b.md"))
    assert lake.parse(root, snapshot=True) == counts(seen=2, unchanged=1, quarantined=1, deleted=1)
    assert {key for key, row in documents(lake).items() if not row["deleted"]} == {"pack.zip/a.md", "pack.zip/sub/b.md"}


def test_a_parquet_file_of_other_types_is_refused_as_a_whole(lake: Lake) -> None:
    path = lake.folder / "docs.parquet"
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["A.", "B."]}), path)
    assert lake.parse(path, snapshot=True) == counts(seen=2, added=2)

    pq.write_table(pa.table({"id": [1, 2], "text": ["A.", "B."]}), path)
    with pytest.raises(InvalidInput, match="column 'id' is bigint, must be string"):
        lake.parse(path, snapshot=True)

    path.unlink()
    path.mkdir()
    pq.write_table(pa.table({"id": ["1"], "text": ["A."]}), path / "1.parquet")
    pq.write_table(pa.table({"id": ["2"], "text": [7]}), path / "2.parquet")
    with pytest.raises(InvalidInput, match=r"docs\.parquet.*CANNOT_MERGE_SCHEMAS"):
        lake.parse(path, snapshot=True)
    assert [row["deleted"] for row in lake.rows(DOCUMENTS)] == [False, False]


def test_lines_whose_types_changed_are_quarantined_and_not_taken_for_deleted(lake: Lake) -> None:
    lake.parse(lake.write({"id": "1", "text": "A."}, {"id": "2", "text": "B."}, {"id": "3", "text": "C."}))

    path = lake.write({"id": 1, "text": "A."}, {"id": "2", "text": ["B."]}, {"id": "3", "text": "C."})

    assert lake.parse(path, snapshot=True) == counts(seen=3, unchanged=1, quarantined=2)
    assert [reason.split(".")[0] for reason in reasons(lake)] == [
        "line 1: id 1: must be a string, this is a number",
        "line 2: text must be a string, this is a list",
    ]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_column_that_comes_or_goes_changes_what_it_says_and_loses_no_document(lake: Lake, kind: str) -> None:
    def written(rows: list[dict[str, Any]]) -> Path:
        if kind == "jsonl":
            return lake.write(*rows)
        pq.write_table(pa.Table.from_pylist(rows), lake.folder / "docs.parquet")
        return lake.folder / "docs.parquet"

    both = [{"id": "1", "text": "A.", "title": "One"}, {"id": "2", "text": "B.", "title": "Two"}]
    lake.parse(written(both), groups="staff")

    more = [row | {"groups": ["hr"], "author": "Mia"} for row in both]
    assert lake.parse(written(more), groups="staff", snapshot=True) == counts(seen=2, changed=2)
    assert {row["acl_groups"][0] for row in lake.rows(DOCUMENTS)} == {"hr"}
    less = [{"id": row["id"], "text": row["text"]} for row in both]
    assert lake.parse(written(less), groups="staff", snapshot=True) == counts(seen=2, changed=2)
    assert {(row["title"], row["acl_groups"][0], row["deleted"]) for row in lake.rows(DOCUMENTS)} == {
        ("1", "staff", False),
        ("2", "staff", False),
    }


def test_links_and_odd_files_are_refused_before_they_are_opened(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("outside")
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "a.md").write_text("inside")
    (root / "out.md").symlink_to(tmp_path / "secret.md")
    (root / "in.md").symlink_to("a.md")
    (root / "gone.md").symlink_to("nowhere.md")
    (root / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.md")
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.md")).write_text("odd name")

    problems = {file["doc_id"]: (file["problem"] or "").split(",")[0].split(".")[0] for file in local_files(root)}

    outside = f"a link to '{tmp_path}"
    assert problems == {
        "a.md": "",
        "in.md": "",
        "out.md": f"{outside}/secret",
        "up": f"{outside}'",
        "gone.md": f"a link to '{root}/nowhere",
        "pipe.md": "neither a file nor a folder",
        None: "its name is not UTF-8",
    }


def test_a_parquet_file_is_read_by_the_same_rules(lake: Lake) -> None:
    path = lake.folder / "docs.parquet"
    moment = datetime(2026, 11, 5, 9, 30, tzinfo=UTC)
    rows = [
        {"id": "a", "text": "A.", "groups": ["hr"], "updated_at": moment, "extra": 1},
        {"id": "b", "text": None, "groups": None, "updated_at": None, "extra": 2},
    ]
    pq.write_table(
        pa.Table.from_pylist(
            rows,
            schema=pa.schema(
                [
                    ("id", pa.string()),
                    ("text", pa.string()),
                    ("groups", pa.list_(pa.string())),
                    ("updated_at", pa.timestamp("us", tz="UTC")),
                    ("extra", pa.int64()),
                ]
            ),
        ),
        path,
    )

    assert lake.parse(path) == counts(seen=2, added=1, quarantined=1)
    assert documents(lake)["a"]["acl_groups"] == ["hr"]
    assert documents(lake)["a"]["updated_at"] == moment
    assert reasons(lake)[0].startswith("row 2: text is missing")


def test_the_lines_of_a_file_that_is_read_in_parts_keep_their_numbers(lake: Lake) -> None:
    lake.spark.conf.set("spark.sql.files.maxPartitionBytes", "10000")
    try:
        path = lake.write(
            *({"id": f"d{n}", "text": "x" * 80} for n in range(1000)), b"{bad", {"id": "d0", "text": "again"}
        )
        assert lake.parse(path) == counts(seen=1002, added=1000, quarantined=2)
    finally:
        lake.spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert [reason.split(":")[0] for reason in reasons(lake)] == ["line 1001", "line 1002"]


@pytest.mark.parametrize("name", ["nothing", "bad.parquet"])
def test_an_input_that_cannot_be_read_says_so(lake: Lake, name: str) -> None:
    (lake.folder / "bad.parquet").write_bytes(b"no parquet")

    with pytest.raises(InvalidInput, match=name):
        lake.parse(lake.folder / name)
