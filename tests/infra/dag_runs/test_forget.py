"""Requests that `lakehop forget` refuses, its question before removal, and its report."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import infra.dag_runs.ingest
from infra.cli.main import main
from infra.clients.airflow import DagRun
from infra.dag_runs.forget import forget
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.settings import Settings
from lakehouse.storage.delta import append, ensure_tables, upsert
from lakehouse.tables import DOCUMENTS, FORGET_RUNS, QUARANTINE

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Airflow:
    """A fake AirflowClient; a run writes the rows of a real run, with or without proof."""

    def __init__(self, settings: Settings, proven_at: datetime | None) -> None:
        self.settings, self.proven_at = settings, proven_at
        self.triggered: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, settings: Settings) -> "Airflow":
        return self

    def trigger(self, dag_id: str, run_id: str, params: dict[str, Any]) -> None:
        self.triggered.append((dag_id, params))
        rows = [("silver.chunks", 3, 4), ("milvus", 3, 0)]
        upsert(self.settings, FORGET_RUNS, [place(run_id, *row, self.proven_at) for row in rows])

    def wait(self, dag_id: str, run_id: str, timeout_s: float, progress: object) -> DagRun:
        return DagRun(dag_id, run_id, "success", ())

    def run_url(self, dag_id: str, run_id: str) -> str:
        return f"http://airflow/{dag_id}/{run_id}"


def place(run_id: str, name: str, removed: int, purged: int, proven_at: datetime | None) -> dict[str, Any]:
    """A row of ops.forget_runs for the document `gone`."""
    return {
        "run_id": run_id, "place": name, "tenant_id": "acme", "source": None, "rows_removed": removed,
        "documents": [hashlib.sha256(b"gone").hexdigest()], "files_purged": purged,
        "rows_left": 0 if proven_at else None, "started_at": NOW, "proven_at": proven_at,
    }  # fmt: skip


@pytest.fixture
def settings(home: Path) -> Settings:
    """A lakehouse with document `plan` of `acme` and its refused document `bad`."""
    settings = Settings(home=home)
    ensure_tables(settings)
    key = {"tenant_id": "acme", "source": "wiki", "ingest_run_id": "r", "uri": "u"}
    document = {"doc_id": "plan", "title": "t", "text": "t", "acl_groups": [], "content_hash": "h", "deleted": False}
    append(settings, DOCUMENTS, [key | document])
    refused = {"quarantine_id": "q", "doc_id": "bad", "reason": "r", "quarantined_at": NOW}
    append(settings, QUARANTINE, [key | refused])
    return settings


@pytest.fixture
def airflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow(settings, NOW)
    monkeypatch.setattr(infra.dag_runs.ingest, "AirflowClient", airflow)
    return airflow


def silent(line: str) -> None: ...


def test_it_reports_what_went_and_the_proof(settings: Settings, airflow: Airflow) -> None:
    report = forget(settings, "acme", "wiki", ["plan", "bad"], silent)

    assert airflow.triggered == [("forget", {"tenant": "acme", "source": "wiki", "document": ["plan", "bad"]})]
    assert report.pop("run_id").startswith("forget-acme-")
    assert report.pop("seconds") >= 0
    assert report == {
        "removed": {"milvus": 3, "silver.chunks": 3},
        "files_purged": 4,
        "proof": {"places_read": 2, "rows_left": 0},
    }


@pytest.mark.parametrize(
    ("tenant", "source", "documents", "named"),
    [
        ("nobody", None, [], "tenant 'nobody'"),
        ("a b", None, [], "tenant 'a b'"),
        ("acme", "mail", [], "source 'mail'"),
        ("acme", None, ["plan", "gone"], "document 'gone'"),
        ("acme", "mail", ["plan"], "document 'plan'"),
        ("acme", None, [" "], "empty"),
        ("acme", "", [], "empty"),
    ],
)
def test_what_is_not_known_removes_nothing(
    settings: Settings, airflow: Airflow, tenant: str, source: str | None, documents: list[str], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        forget(settings, tenant, source, documents, silent)

    assert airflow.triggered == []


def test_a_request_that_was_cut_off_can_be_made_again_though_its_rows_are_gone(
    settings: Settings, airflow: Airflow
) -> None:
    upsert(settings, FORGET_RUNS, [place("killed", "milvus", 3, 0, None)])

    assert forget(settings, "acme", None, ["gone"], silent)["proof"]["rows_left"] == 0


def test_a_run_without_a_proof_fails(settings: Settings, airflow: Airflow) -> None:
    airflow.proven_at = None

    with pytest.raises(LakehopError, match="no proof"):
        forget(settings, "acme", None, ["plan"], silent)


def test_it_asks_where_somebody_can_answer_and_refuses_where_nobody_can(
    settings: Settings, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOP_HOME", str(settings.home))
    command = ["forget", "--tenant", "acme", "--document", "plan", "--json"]

    refused = CliRunner().invoke(main, command)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "add --yes" in refused.stderr

    monkeypatch.setattr("infra.cli.terminal._has_terminal", lambda: True)
    assert CliRunner().invoke(main, command, input="n\n").exit_code == 1
    assert airflow.triggered == []
    assert CliRunner().invoke(main, command, input="y\n").exit_code == 0
    assert CliRunner().invoke(main, [*command, "--yes"]).exit_code == 0
    assert len(airflow.triggered) == 2
