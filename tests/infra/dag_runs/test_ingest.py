"""Inputs that `lakehop ingest` refuses before anything runs, and its sums of a run's counts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import infra.dag_runs.ingest
from infra.clients.airflow import DagRun, job_error, job_lines
from infra.dag_runs.ingest import Snapshot, document_address, flush_costs, ingest, new_run_id, refusals
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.settings import Settings
from lakehouse.storage.delta import upsert
from lakehouse.tables import INGEST_RUNS, QUARANTINE


class Airflow:
    """A fake AirflowClient; each run writes the rows that real jobs write."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.triggered: list[tuple[str, dict[str, object]]] = []
        self.state = "success"

    def __call__(self, settings: Settings) -> "Airflow":
        return self

    def trigger(self, dag_id: str, run_id: str, params: dict[str, object]) -> None:
        self.triggered.append((dag_id, params))

    def wait(self, dag_id: str, run_id: str, timeout_s: float, progress: object) -> DagRun:
        if dag_id == "ingest":
            upsert(self.settings, INGEST_RUNS, [step(run_id, "parse_documents"), step(run_id, "embed_chunks")])
        return DagRun(dag_id, run_id, self.state, ())

    def failure(self, run: DagRun) -> str:
        return "task 'load_documents' failed"

    def run_url(self, dag_id: str, run_id: str) -> str:
        return f"http://airflow/{dag_id}/{run_id}"


def step(run_id: str, name: str) -> dict[str, object]:
    """A step's row of ops.ingest_runs: two documents seen and one added, or three texts embedded."""
    counts = {"documents_seen": 2, "documents_added": 1} if name == "parse_documents" else {"embedded": 3}
    return {
        "run_id": run_id, "step": name, "tenant_id": "acme", "source": "s", **counts,
        "started_at": datetime(2026, 11, 21, tzinfo=UTC), "seconds": 1.0,
    }  # fmt: skip


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture
def airflow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Airflow:
    airflow = Airflow(settings)
    monkeypatch.setattr(infra.dag_runs.ingest, "AirflowClient", airflow)
    return airflow


def silent(line: str) -> None: ...


def test_counts_come_from_the_steps_of_this_run_alone(settings: Settings, airflow: Airflow, tmp_path: Path) -> None:
    upsert(settings, INGEST_RUNS, [step("another-run", "parse_documents")])

    report = ingest(settings, [str(tmp_path)], "acme", ["b", "a", "a"], None, Snapshot(), silent)

    assert airflow.triggered == [
        (
            "ingest",
            {
                "tenant": "acme",
                "groups": ["a", "b"],
                "snapshot": False,
                "allow_deleting": False,
                "path": [str(tmp_path)],
                "source": str(tmp_path),
            },
        )
    ]
    assert report.pop("run_id").startswith("acme-")
    assert report.pop("seconds") >= 0
    assert report == {
        "documents": {
            "seen": 2,
            "added": 1,
            "changed": 0,
            "unchanged": 0,
            "deleted": 0,
            "quarantined": 0,
            "skipped": 0,
        },
        "chunks": {"written": 0, "deleted": 0},
        "embedded": 3,
        "refusals": [],
    }


def test_several_paths_are_one_run_of_one_source(settings: Settings, airflow: Airflow, tmp_path: Path) -> None:
    paths = [str(tmp_path / "a.md"), str(tmp_path / "b c.md")]
    for path in paths:
        Path(path).touch()

    ingest(settings, paths[::-1], "acme", [], None, Snapshot(), silent)
    ingest(settings, paths, "acme", [], "wiki", Snapshot(True, True), silent)

    unnamed, named = (params for _, params in airflow.triggered)
    assert unnamed["source"] == " ".join(paths)  # in whatever order they are given
    assert named == {
        "tenant": "acme", "groups": [], "snapshot": True, "allow_deleting": True, "path": paths, "source": "wiki",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["", " ", "/no/such/folder"])
def test_a_path_that_is_not_there_starts_nothing(
    settings: Settings, airflow: Airflow, path: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"Name an existing one|name a file"):
        ingest(settings, [str(tmp_path), path], "acme", [], "wiki", Snapshot(), silent)

    assert airflow.triggered == []


def test_a_bad_tenant_or_group_starts_nothing(settings: Settings, airflow: Airflow, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="tenant 'a b'"):
        ingest(settings, [str(tmp_path)], "a b", [], None, Snapshot(), silent)
    with pytest.raises(InvalidInput, match="control characters"):
        ingest(settings, [str(tmp_path)], "acme", ["a\nb"], None, Snapshot(), silent)

    assert airflow.triggered == []


def test_a_failed_run_says_why(settings: Settings, airflow: Airflow, tmp_path: Path) -> None:
    airflow.state = "failed"

    with pytest.raises(LakehopError, match="task 'load_documents' failed"):
        ingest(settings, [str(tmp_path)], "acme", [], None, Snapshot(), silent)


def test_refusals_are_counted_by_kind_with_one_of_their_files(settings: Settings) -> None:
    rows = [
        refused("a.pdf", "encrypted", "r1"),
        refused("b.pdf", "encrypted", "r1"),
        refused("c.md", "empty text", "r1"),
    ]
    upsert(settings, QUARANTINE, [*rows, refused("d.md", "oversize", "r2")])

    assert refusals(settings, "r1", "acme") == [
        {"kind": "encrypted", "documents": 2, "example": "file:///a.pdf", "reason": "encrypted: why"},
        {"kind": "empty text", "documents": 1, "example": "file:///c.md", "reason": "empty text: why"},
    ]


def refused(name: str, kind: str, run_id: str) -> dict[str, object]:
    return {
        "ingest_run_id": run_id, "quarantine_id": name, "tenant_id": "acme", "source": "s", "doc_id": name,
        "uri": f"file:///{name}", "reason": f"{kind}: why", "quarantined_at": datetime(2026, 11, 21, tzinfo=UTC),
        "kind": kind,
    }  # fmt: skip


def test_flush_runs_the_dag_that_loads_costs(settings: Settings, airflow: Airflow) -> None:
    report = flush_costs(settings, silent)

    assert airflow.triggered == [("load_costs", {})]
    assert set(report) == {"run_id", "seconds"}


def test_addresses_are_absolute_and_remote_ones_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()

    (tmp_path / "current").symlink_to("docs")

    assert document_address("docs") == str(tmp_path / "docs")
    assert document_address("current") == str(tmp_path / "current")  # a release may move the link
    assert document_address("current/../docs") == str(tmp_path / "docs")
    assert document_address("s3://bucket/docs") == "s3://bucket/docs"
    assert document_address("https://example.com/sitemap.xml") == "https://example.com/sitemap.xml"


@pytest.mark.parametrize("path", ["https://example.com/", "https:///sitemap.xml", "http://example.com/page.html"])
def test_a_website_is_named_by_its_sitemap(path: str) -> None:
    with pytest.raises(InvalidInput, match="a website is named by its sitemap"):
        document_address(path)


def test_run_ids_differ_and_fit_airflows_pattern() -> None:
    first, second = new_run_id("acme"), new_run_id("acme")

    assert first != second
    assert first.replace("-", "").isalnum()


def test_the_excerpt_of_a_log_holds_the_jobs_own_lines() -> None:
    log = [
        "::group::Pre Execute",
        "Spark-Submit cmd: spark-submit main.py",
        "WARNING: Using incubator modules: jdk.incubator.vector",
        "java.lang.IllegalStateException: disk full",
        "\tat org.apache.spark.Thing",
        "",
        "Task failed with exception",
        "::group::Post Execute",
    ]

    assert job_lines(log) == [
        "Spark-Submit cmd: spark-submit main.py",
        "java.lang.IllegalStateException: disk full",
    ]


def test_the_jobs_own_error_comes_first() -> None:
    log = ["2026-12-01 07:17:09,533 INFO spark_jobs parse_documents: skipped files: none"]
    error = "2026-12-01 07:17:11,195 ERROR spark_jobs the paths hold one id twice: 'README.md'. Rename one."

    assert job_error([*log, error, "The job failed, error code is: 2."]) == (
        "the paths hold one id twice: 'README.md'. Rename one.\n"
    )
    assert job_error(log) == ""
