"""The Airflow runs that `lakehop reindex` and `lakehop reconcile` trigger, and their reports."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import infra.dag_runs.ingest
from infra.dag_runs.index import reconcile, reindex
from lakehouse.errors import InvalidInput, NotFound
from lakehouse.index.versions import Version, save
from lakehouse.settings import Settings
from lakehouse.storage.delta import upsert
from lakehouse.tables import RECONCILE_RUNS
from tests.infra.dag_runs.test_ingest import Airflow

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


class Jobs(Airflow):
    """A fake Airflow with the jobs' rows: acme is moved and differs from Delta, globex had the model before."""

    def trigger(self, dag_id: str, run_id: str, params: dict[str, object]) -> None:
        super().trigger(dag_id, run_id, params)
        for tenant, run in (("acme", run_id), ("globex", "earlier")):
            built = Version(tenant, f"lakehop_{tenant}_v2", "other", 32, NOW)
            save(self.settings, built.gone_live(run, chunks=5, recall=1.0))
        if params["tenant"] in ("", "acme"):
            counts = {"chunks": 5, "missing": 1, "extra": 0, "stale_text": 0, "stale_permissions": 2, "stale_counts": 3}
            row = {"run_id": run_id, "tenant_id": "acme", "collection": "lakehop_acme_v2", "started_at": NOW}
            upsert(self.settings, RECONCILE_RUNS, [row | counts | {"seconds": 1.0}])


@pytest.fixture
def airflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    airflow = Jobs(settings)
    monkeypatch.setattr(infra.dag_runs.ingest, "AirflowClient", airflow)
    return airflow


def test_a_reindex_tells_what_is_live_and_which_it_moved(settings: Settings, airflow: Jobs) -> None:
    report = reindex(settings, "other", None, print)

    assert airflow.triggered == [("reindex", {"embedding_model": "other", "tenant": ""})]
    assert [(row["tenant"], row["rebuilt"], row["recall"]) for row in report["tenants"]] == [
        ("acme", True, 1.0),
        ("globex", False, 1.0),
    ]
    assert [row["tenant"] for row in reindex(settings, "other", "acme", print)["tenants"]] == ["acme"]


def test_a_folder_is_named_for_processes_that_work_elsewhere(
    settings: Settings, airflow: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    reindex(settings, "model", "acme", print)

    assert airflow.triggered[0][1]["embedding_model"] == str(tmp_path / "model")


def test_a_reconciliation_reports_each_difference(settings: Settings, airflow: Jobs) -> None:
    report = reconcile(settings, "acme", print)

    assert report["tenants"] == [
        {
            "tenant": "acme", "collection": "lakehop_acme_v2", "chunks": 5,
            "missing": 1, "extra": 0, "stale_text": 0, "stale_permissions": 2,
            "stale_counts": 3,
        }
    ]  # fmt: skip
    with pytest.raises(NotFound, match="'nobody': has no indexed chunks"):
        reconcile(settings, "nobody", print)


def test_a_bad_tenant_or_model_starts_nothing(settings: Settings, airflow: Jobs) -> None:
    for call in (lambda: reconcile(settings, "a b", print), lambda: reindex(settings, "", None, print)):
        with pytest.raises(InvalidInput):
            call()

    assert airflow.triggered == []
