"""Near-copies of what the same readers may see are refused, in any order and however often a run is tried."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.settings import Settings
from lakehouse.tables import DOCUMENTS, QUARANTINE
from spark_jobs.documents import near_duplicates
from spark_jobs.documents import parse as parse_documents
from spark_jobs.documents.minhash import HASHES, minhash
from spark_jobs.documents.near_duplicates import near_copies
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PAGE = " ".join(f"word{n}" for n in range(400))
COPY = PAGE + " and one more sentence."
OTHER = " ".join(f"other{n}" for n in range(400))


@pytest.fixture
def strict(lake: Lake) -> Lake:
    """The tenant's lakehouse with the rule on."""
    lake.settings = lake.settings.model_copy(update={"near_duplicate_similarity": 0.9})
    return lake


def live(lake: Lake) -> dict[str, str]:
    return {row["doc_id"]: row["text"] for row in lake.rows(DOCUMENTS) if not row["deleted"]}


def refused(lake: Lake) -> dict[str, str]:
    """Open reasons by id, up to the advice."""
    rows = [row for row in lake.rows(QUARANTINE) if row["resolved_by"] is None]
    return {row["doc_id"]: row["reason"].split(", must")[0] for row in rows}


def document(doc_id: str, text: str, *groups: str) -> dict[str, Any]:
    return {"id": doc_id, "text": text, "groups": list(groups)}


def test_of_new_copies_the_least_id_stays_and_the_next_run_lets_another_in_when_it_left(strict: Lake) -> None:
    path = strict.write(document("c", PAGE), document("a", COPY), document("b", OTHER), document("d", PAGE))

    counts = strict.parse(path, snapshot=True, run_id="one")

    assert (counts["added"], counts["quarantined"]) == (2, 2)
    assert set(live(strict)) == {"a", "b"}
    near = f"near-duplicate: {(minhash(PAGE) == minhash(COPY)).mean():.2f} of it is also in 'a'"
    assert refused(strict) == {"c": f"line 1: {near}", "d": f"line 4: {near}"}
    assert {row["like_doc_id"] for row in strict.rows(QUARANTINE)} == {"a"}  # by which `forget` finds the rows
    rows = {row["quarantine_id"]: row["reason"] for row in strict.rows(QUARANTINE)}
    assert strict.parse(path, snapshot=True, run_id="one") == counts  # a retry, e.g. after a kill
    assert {row["quarantine_id"]: row["reason"] for row in strict.rows(QUARANTINE)} == rows

    again = strict.parse(strict.write(document("d", PAGE), document("c", PAGE), document("b", OTHER),
                                      document("a", COPY)), snapshot=True, run_id="two")  # fmt: skip
    assert (again["unchanged"], again["quarantined"]) == (2, 2)
    assert set(refused(strict)) == {"c", "d"}

    # `a` moved to `z`, which is a new document: nothing else stands any more, and `c` goes before it
    moved = strict.parse(strict.write(document("b", OTHER), document("c", PAGE), document("z", COPY)), snapshot=True)
    assert (moved["added"], moved["deleted"], moved["quarantined"]) == (1, 1, 1)
    assert set(live(strict)) == {"b", "c"}


@pytest.mark.long
def test_an_edit_frees_its_copy_and_an_edit_into_a_copy_keeps_the_earlier_text(strict: Lake) -> None:
    strict.parse(strict.write(document("a", PAGE), document("b", COPY), document("e", OTHER)))
    assert set(refused(strict)) == {"b"}

    counts = strict.parse(strict.write(document("a", "All new."), document("b", COPY), document("e", COPY)))

    # the edit of the known `e` goes before the new `b`, and `b` could not stand beside it
    assert (counts["changed"], counts["added"], counts["quarantined"]) == (2, 0, 1)
    assert live(strict) == {"a": "All new.", "e": COPY}
    counts = strict.parse(strict.write(document("a", PAGE), document("b", "Free."), document("e", COPY)))
    assert (counts["added"], counts["quarantined"]) == (1, 1)
    assert live(strict) == {"a": "All new.", "b": "Free.", "e": COPY}
    assert refused(strict)["a"].endswith("is also in 'e'")


def test_permissions_neither_leak_by_a_refusal_nor_wait_for_one(strict: Lake) -> None:
    path = strict.write(document("open", PAGE), document("secret", PAGE, "hr"), document("secret2", PAGE, "hr"))
    strict.parse(path)
    assert set(live(strict)) == {"open", "secret"}
    assert refused(strict)["secret2"].endswith("is also in 'secret'")

    # a known document comes to where a copy of it is already: its groups change all the same
    counts = strict.parse(strict.write(document("open", COPY, "hr")))
    assert counts["changed"] == 1
    assert {row["doc_id"]: row["acl_groups"] for row in strict.rows(DOCUMENTS)} == {"open": ["hr"], "secret": ["hr"]}


@pytest.mark.long
def test_a_replay_takes_a_copy_in_once_the_other_is_gone(strict: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    both = strict.write(document("a", PAGE), document("b", COPY), name="both.jsonl")
    strict.parse(both, run_id="one")
    assert strict.parse(both, run_id="two", replay=["one"])["quarantined"] == 1  # nothing was fixed
    strict.parse(strict.write(document("c", OTHER)), snapshot=True)

    both.write_bytes(both.read_bytes().replace(b'"a"', b'"c"').replace(PAGE.encode(), OTHER.encode(), 1))
    monkeypatch.setattr(parse_documents, "settle_quarantine", _killed)
    with pytest.raises(RuntimeError, match="killed"):
        strict.parse(both, run_id="three", replay=["two"])
    monkeypatch.undo()
    counts = strict.parse(both, run_id="three", replay=["two"])

    assert (counts["added"], counts["quarantined"]) == (1, 0)
    assert (set(live(strict)), refused(strict)) == ({"b", "c"}, {})


def _killed(*_: Any) -> None:
    raise RuntimeError("killed")


def test_what_was_known_before_the_rule_stays_and_is_signed_once(lake: Lake) -> None:
    off = lake.settings
    lake.parse(lake.write(document("b", PAGE), document("c", COPY), document("none", "…")), run_id="one")
    assert {row["signature"] is None for row in lake.rows(DOCUMENTS)} == {True}
    lake.settings = off.model_copy(update={"near_duplicate_similarity": 0.9})

    counts = lake.parse(lake.write(document("a", PAGE)))

    assert (counts["added"], counts["quarantined"]) == (0, 1)
    assert refused(lake) == {"a": "line 1: near-duplicate: 1.00 of it is also in 'b'"}
    rows = {row["doc_id"]: row for row in lake.rows(DOCUMENTS)}
    assert {name: len(row["signature"]) for name, row in rows.items()} == {"b": HASHES, "c": HASHES, "none": 0}
    assert {row["ingest_run_id"] for row in rows.values()} == {"one"}
    version = lake.version(DOCUMENTS)
    lake.parse(lake.write(document("a", PAGE)))
    assert lake.version(DOCUMENTS) == version


def test_a_copy_of_a_refused_copy_is_not_refused_for_that(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five texts, each like its neighbours only, and many equal ones, which are compared once."""
    text = [f"w{n}" for n in range(1000)]
    chain = {name: " ".join(text[100 * n : 100 * n + 500]) for n, name in enumerate("abcde")}
    equal = {f"e{n}": chain["e"] for n in range(300)}
    rows = [(name, ["hr"], minhash(text).tolist(), 2) for name, text in (chain | equal).items()]
    schema = "doc_id STRING, acl_groups ARRAY<STRING>, signature ARRAY<INT>, precedence INT"
    monkeypatch.setattr(near_duplicates, "_COMPARED_IN_BAND", 5)

    found = near_copies(spark.createDataFrame([], schema), spark.createDataFrame(rows, schema), 0.55).collect()

    of = {row["doc_id"]: row["_of"] for row in found}
    assert of.keys() == {"b", "d", *equal}
    assert (of["b"] in "ac", of["d"] in "ce", {of[name] for name in equal}) == (True, True, {"e"})
