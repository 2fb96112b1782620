"""The ingest runs that `lakehop replay` triggers, and its counts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import infra.dag_runs.ingest
from infra.clients.airflow import DagRun
from infra.dag_runs.replay import replay
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables, upsert
from lakehouse.tables import INGEST_RUNS, QUARANTINE

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Airflow:
    """A fake AirflowClient; a run resolves all replayed items except those named `stays`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.triggered: list[dict[str, Any]] = []

    def __call__(self, settings: Settings) -> "Airflow":
        return self

    def trigger(self, dag_id: str, run_id: str, params: dict[str, Any]) -> None:
        assert dag_id == "ingest"
        self.triggered.append(params)
        fixed = [row for run in params["replay"] for row in REFUSED[run] if row["quarantine_id"] != "stays"]
        upsert(self.settings, QUARANTINE, [row | {"resolved_by": run_id} for row in fixed])
        upsert(self.settings, INGEST_RUNS, [step(run_id, params["source"], documents_seen=2, documents_added=1)])

    def wait(self, dag_id: str, run_id: str, timeout_s: float, progress: object) -> DagRun:
        return DagRun(dag_id, run_id, "success", ())

    def run_url(self, dag_id: str, run_id: str) -> str:
        return f"http://airflow/{dag_id}/{run_id}"


def step(run_id: str, source: str, **counts: int) -> dict[str, Any]:
    return {
        "run_id": run_id, "step": "parse_documents", "tenant_id": "acme", "source": source, "started_at": NOW,
        "seconds": 1.0, **counts,
    }  # fmt: skip


def refused(run_id: str, name: str, source: str = "wiki", **changes: Any) -> dict[str, Any]:
    return {
        "ingest_run_id": run_id, "quarantine_id": name, "tenant_id": "acme", "source": source, "doc_id": name,
        "uri": "u", "reason": "r", "quarantined_at": NOW, "number": 0, "paths": ["/"], "default_groups": ["staff"],
    } | changes  # fmt: skip


REFUSED = {
    "one": [refused("one", "a"), refused("one", "stays")],
    "two": [refused("two", "b"), refused("two", "done", resolved_by="three")],
    "mail": [refused("mail", "c", "mail", default_groups=[])],
    "old": [refused("old", "d", "before", paths=None, default_groups=None)],
    "clean": [],
}


@pytest.fixture
def settings(home: Path) -> Settings:
    settings = Settings(home=home)
    ensure_tables(settings)
    upsert(settings, QUARANTINE, [row for rows in REFUSED.values() for row in rows])
    sources = {"mail": "mail", "old": "before"}
    upsert(settings, INGEST_RUNS, [step(run, sources.get(run, "wiki")) for run in REFUSED])
    return settings


@pytest.fixture
def airflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow(settings)
    monkeypatch.setattr(infra.dag_runs.ingest, "AirflowClient", airflow)
    return airflow


def silent(line: str) -> None: ...


def test_a_run_is_replayed_with_what_it_was_given(settings: Settings, airflow: Airflow) -> None:
    report = replay(settings, "one", None, None, silent)

    assert airflow.triggered == [
        {
            "path": ["/"],
            "tenant": "acme",
            "groups": ["staff"],
            "source": "wiki",
            "snapshot": False,
            "replay": ["one"],
        }
    ]
    assert report["run_ids"] == [report["run_id"]]
    assert (report["replayed"], report["resolved"], report["still_open"]) == (2, 1, 1)
    assert (report["documents"]["seen"], report["documents"]["added"], report["embedded"]) == (2, 1, 0)


def test_a_tenant_is_replayed_a_run_for_what_was_given_together(settings: Settings, airflow: Airflow) -> None:
    lines: list[str] = []
    report = replay(settings, None, "acme", None, lines.append)

    assert [(run["source"], run["groups"], run["replay"]) for run in airflow.triggered] == [
        ("mail", [], ["mail"]),
        ("wiki", ["staff"], ["one", "two"]),
    ]
    assert report["documents"]["seen"] == 4
    assert (report["replayed"], report["resolved"], report["still_open"]) == (5, 3, 2)
    assert lines[0].startswith("1 items have no stored paths")

    replay(settings, None, "acme", "mail", silent)
    assert len(airflow.triggered) == 2  # no item is open any more


def test_nothing_open_starts_nothing(settings: Settings, airflow: Airflow) -> None:
    report = replay(settings, "clean", None, None, silent)

    assert airflow.triggered == []
    assert (report["run_id"], report["replayed"], report["still_open"]) == (None, 0, 0)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ((None, None, None), "either"),
        (("one", "acme", None), "either"),
        (("one", None, "wiki"), "either"),
        (("nobodys", None, None), "run_id 'nobodys'"),
        ((None, "acme", "nothing"), "source 'nothing'"),
    ],
)
def test_what_is_not_known_starts_nothing(
    settings: Settings, airflow: Airflow, asked: tuple[str | None, str | None, str | None], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        replay(settings, *asked, silent)

    assert airflow.triggered == []
