"""Delta without a JVM: what is written comes back, and several writers lose nothing."""

import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakehouse.errors import InvalidInput, Unavailable
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS, CHUNKS, DOCUMENTS, EMBEDDINGS, EVAL_RUNS, TABLES

NOON = datetime(2026, 11, 3, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def run_row(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "r1",
        "tenant_id": "acme",
        "program": "multihop",
        "questions": "q.jsonl",
        "n": 2,
        "usd_total": Decimal("0.0000000001"),
        "p50_s": 1.5,
        "p95_s": 2.5,
        "started_at": NOON,
    } | changes


def document_row(**changes: Any) -> dict[str, Any]:
    return {
        "tenant_id": "acme",
        "source": "s",
        "doc_id": "plan",
        "title": "Plan",
        "text": "Launch is in May.",
        "uri": "file:///plan.md",
        "acl_groups": ["eng"],
        "content_hash": "0",
        "updated_at": None,
        "deleted": False,
        "ingest_run_id": "r1",
    } | changes


def test_every_declared_table_is_created_once_with_its_feed_and_no_deletion_vectors(settings: Settings) -> None:
    delta.ensure_tables(settings)
    delta.append(settings, EVAL_RUNS, [run_row()])
    delta.ensure_tables(settings)

    for table in TABLES:
        opened = delta.open_table(settings, table)
        properties = dict(opened.metadata().configuration)
        properties.pop("delta.dataSkippingNumIndexedCols", None)
        feed = "true" if table in (DOCUMENTS, CHUNKS) else "false"
        assert properties == {"delta.enableChangeDataFeed": feed, "delta.enableDeletionVectors": "false"}
        assert opened.metadata().partition_columns == list(table.partition_by)
        assert [field.name for field in opened.schema().fields] == list(table.column_names)
    assert len(delta.read_rows(settings, EVAL_RUNS)) == 1


def test_a_column_declared_later_is_added_to_a_table_with_rows_by_whoever_comes_first(settings: Settings) -> None:
    before = replace(EVAL_RUNS, columns=tuple(column for column in EVAL_RUNS.columns if column.name != "em"))
    delta.append(settings, before, [run_row()])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: delta.ensure_tables(settings), range(4)))
    delta.upsert(settings, EVAL_RUNS, [run_row(run_id="r2", em=0.5)])

    rows = delta.read_rows(settings, EVAL_RUNS, columns=["run_id", "em"])
    assert sorted(rows, key=lambda row: row["run_id"]) == [{"run_id": "r1", "em": None}, {"run_id": "r2", "em": 0.5}]
    version = delta.open_table(settings, EVAL_RUNS).version()
    delta.ensure_tables(settings)
    assert delta.open_table(settings, EVAL_RUNS).version() == version


def test_a_column_that_may_not_be_null_is_not_added_to_a_table_with_rows(settings: Settings) -> None:
    before = replace(EVAL_RUNS, columns=tuple(column for column in EVAL_RUNS.columns if column.name != "n"))
    delta.append(settings, before, [{name: value for name, value in run_row().items() if name != "n"}])

    with pytest.raises(InvalidInput, match=r"gold\.eval_runs: the table there has no column 'n'.*Declare the column"):
        delta.ensure_tables(settings)


def test_no_text_of_a_document_gets_into_a_tables_log(settings: Settings) -> None:
    delta.upsert(settings, DOCUMENTS, [document_row()])
    delta.upsert(settings, DOCUMENTS, [document_row(text="Launch is in June.")])

    log = "".join(path.read_text() for path in Path(settings.warehouse_root).rglob("_delta_log/*.json"))
    assert "numRecords" in log
    assert "Launch" not in log


def test_a_row_comes_back_as_it_was_written_and_what_it_left_out_is_null(settings: Settings) -> None:
    delta.append(settings, EVAL_RUNS, [run_row()])

    assert delta.read_rows(settings, EVAL_RUNS) == [dict.fromkeys(EVAL_RUNS.column_names) | run_row()]


def test_a_time_of_another_zone_is_stored_in_utc(settings: Settings) -> None:
    in_tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    delta.append(settings, EVAL_RUNS, [run_row(started_at=in_tokyo)])

    (row,) = delta.read_rows(settings, EVAL_RUNS, columns=["started_at"])
    assert row["started_at"].isoformat() == "2026-11-03T12:00:00.123456+00:00"


def test_upsert_replaces_a_known_key_and_adds_a_new_one(settings: Settings) -> None:
    delta.upsert(settings, DOCUMENTS, [document_row(updated_at=NOON), document_row(doc_id="b")])
    delta.upsert(settings, DOCUMENTS, [document_row(text="Launch is in June."), document_row(doc_id="c")])

    rows = delta.read_rows(settings, DOCUMENTS, columns=["doc_id", "text", "updated_at"])
    assert sorted(rows, key=lambda row: row["doc_id"]) == [
        {"doc_id": "b", "text": "Launch is in May.", "updated_at": None},
        {"doc_id": "c", "text": "Launch is in May.", "updated_at": None},
        {"doc_id": "plan", "text": "Launch is in June.", "updated_at": None},
    ]


def test_an_upsert_is_seen_by_the_change_data_feed(settings: Settings) -> None:
    delta.upsert(settings, DOCUMENTS, [document_row(acl_groups=["a"])])
    delta.upsert(settings, DOCUMENTS, [document_row(acl_groups=["b"])])

    feed = pa.table(delta.open_table(settings, DOCUMENTS).load_cdf(starting_version=2))
    assert sorted((change["_change_type"], change["acl_groups"]) for change in feed.to_pylist()) == [
        ("update_postimage", ["b"]),
        ("update_preimage", ["a"]),
    ]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ([], ["a'b", "plan", "plan"]),
        ([("tenant_id", "=", "acme")], ["a'b", "plan"]),
        ([("tenant_id", "=", "acme"), ("doc_id", "=", "a'b")], ["a'b"]),
        ([("doc_id", "=", "x' OR 'a' = 'a")], []),
        ([("doc_id", "in", ["a'b", "unknown"])], ["a'b"]),
        ([("doc_id", "in", [])], []),
        ([("doc_id", "not in", [])], ["a'b", "plan", "plan"]),
        ([("deleted", "=", True)], ["plan"]),
        ([("updated_at", ">=", NOON.astimezone(timezone(timedelta(hours=-5))))], ["a'b"]),
    ],
)
def test_filters_choose_rows(settings: Settings, where: list[delta.Filter], found: list[str]) -> None:
    delta.upsert(settings, DOCUMENTS, [document_row(), document_row(doc_id="a'b", updated_at=NOON)])
    delta.upsert(settings, DOCUMENTS, [document_row(tenant_id="other", deleted=True)])
    delta.upsert(settings, DOCUMENTS, [document_row()])  # a merge rewrites the file, with other string types

    assert sorted(row["doc_id"] for row in delta.read_rows(settings, DOCUMENTS, where, ["doc_id"])) == found


def test_a_filter_on_an_unknown_column_or_operator_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match=r"bronze\.documents: no column 'tenant'"):
        delta.read_rows(settings, DOCUMENTS, [("tenant", "=", "acme")])
    with pytest.raises(InvalidInput, match="operator 'like': must be one of ="):
        delta.read_rows(settings, DOCUMENTS, [("tenant_id", "like", "a%")])


def test_a_table_that_nobody_created_has_no_rows_and_stays_uncreated(settings: Settings) -> None:
    assert delta.read_rows(settings, DOCUMENTS) == []
    assert list(settings.home.iterdir()) == []


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (document_row(color="red"), r"bronze\.documents row 1: no column 'color'. Its columns are tenant_id, source"),
        (document_row(title=None), r"bronze\.documents row 1: 'title' is missing. The given title"),
        ({k: v for k, v in document_row().items() if k != "doc_id"}, "row 1: 'doc_id' is missing"),
        (document_row(updated_at=datetime(2026, 1, 1)), "row 1: updated_at=.* has no time zone"),  # noqa: DTZ001
        (document_row(deleted="no"), r"bronze\.documents\.deleted must be BOOLEAN"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(settings: Settings, row: dict[str, Any], complaint: str) -> None:
    for write in (delta.append, delta.upsert):
        with pytest.raises(InvalidInput, match=complaint):
            write(settings, DOCUMENTS, [document_row(doc_id="good"), row])
    assert delta.read_rows(settings, DOCUMENTS) == []


@pytest.mark.parametrize("money", [0.1, Decimal("0.00000000001")])
def test_money_that_a_column_cannot_hold_exactly_is_refused(settings: Settings, money: Any) -> None:
    with pytest.raises(InvalidInput, match=r"gold\.eval_runs\.usd_total must be DECIMAL\(18,10\)"):
        delta.append(settings, EVAL_RUNS, [run_row(usd_total=money)])


def test_two_rows_for_one_key_are_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match=r"gold\.eval_runs: 2 rows for the key run_id='r1'"):
        delta.upsert(settings, EVAL_RUNS, [run_row(), run_row(n=3)])


def test_no_rows_write_nothing(settings: Settings) -> None:
    delta.append(settings, EVAL_RUNS, [])
    delta.upsert(settings, EVAL_RUNS, [])
    assert list(settings.home.iterdir()) == []


def test_a_table_whose_log_is_broken_is_the_warehouses_failure(settings: Settings) -> None:
    delta.append(settings, EVAL_RUNS, [run_row()])
    log = Path(EVAL_RUNS.path(settings.warehouse_root)) / "_delta_log"
    for commit in log.glob("*.json"):
        commit.write_text("broken")

    for touch in (delta.read_rows, lambda *table: delta.append(*table, [run_row()])):
        with pytest.raises(
            Unavailable, match=r"gold\.eval_runs cannot be read or written: .*Check LAKEHOP_WAREHOUSE"
        ) as caught:
            touch(settings, EVAL_RUNS)
        assert caught.value.part == "warehouse"


def test_an_s3a_root_is_spelt_as_deltalake_wants_it() -> None:
    settings = Settings(warehouse="s3a://bucket/lake/")
    assert delta.table_uri(settings, DOCUMENTS) == "s3://bucket/lake/bronze/documents"


def _write_as_process(home: str, writer: int) -> None:
    settings = Settings(home=Path(home))
    for number in range(5):
        shared = {"tenant_id": "acme", "acl_key": "shared", "acl_groups": [str(writer)]}
        own = {"tenant_id": "acme", "acl_key": f"{writer}-{number}", "acl_groups": []}
        delta.upsert(settings, ACL_KEYS, [shared, own])
        vector = {"content_hash": own["acl_key"], "embedding_model": "m", "vector": [0.5], "ingest_run_id": "r"}
        delta.append(settings, EMBEDDINGS, [vector])


def test_processes_that_write_one_table_at_once_lose_nothing_and_double_nothing(settings: Settings) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_as_process, args=(str(settings.home), number)) for number in range(2)]
    for writer in writers:
        writer.start()
    _write_as_process(str(settings.home), 2)
    for writer in writers:
        writer.join(120)

    assert [writer.exitcode for writer in writers] == [0, 0]
    own = sorted(f"{writer}-{number}" for writer in range(3) for number in range(5))
    assert sorted(row["acl_key"] for row in delta.read_rows(settings, ACL_KEYS)) == [*own, "shared"]
    assert sorted(row["content_hash"] for row in delta.read_rows(settings, EMBEDDINGS)) == own


def test_the_table_says_what_one_row_is(settings: Settings) -> None:
    log = Path(delta.open_table(settings, DOCUMENTS).table_uri.removeprefix("file://")) / "_delta_log"
    actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
    assert [action["metaData"]["description"] for action in actions if "metaData" in action] == [DOCUMENTS.grain]
