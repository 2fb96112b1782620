"""Every DAG loads, explains itself, refuses bad parameters, and hands good ones to Spark unaltered."""

import ast
import json
import os
import sys
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, ParamValidationError

from lakehouse.settings import PROJECT_ROOT, Settings

DAGS = PROJECT_ROOT / "dags"
GOOD = {"path": ["/data"], "tenant": "acme", "source": "wiki"}
NASTY = {
    "path": ["/tmp/a b/$HOME;{{ run_id }}'\"`ls`.jsonl", "--groups=all", "a,b"],
    "tenant": "acme",
    "source": "--steal",
    "groups": "staff\"] or tenant_id != \",'x') or 1==1,{{ params.tenant }},日本 ,a\\b,*",
    "snapshot": True,
    "replay": [],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dags(home: Path) -> Mapping[str, DAG]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOP_HOME", str(home))
        bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


def arguments(dag: DAG, task_id: str, params: Mapping[str, Any]) -> list[str]:
    """What the task gives to its Spark job, once Airflow has filled in the run."""
    task = dag.get_task(task_id).prepare_for_execution()
    task.render_template_fields({"params": dict(dag.params.dump() | params), "run_id": "run-1"})
    return list(task.application_args)


def test_the_dags_are_those_of_the_design(dags: Mapping[str, DAG]) -> None:
    assert set(dags) == {"forget", "ingest", "load_costs"}


@pytest.mark.parametrize("dag_id", ["forget", "ingest", "load_costs"])
def test_a_dag_explains_its_effect_its_rerun_and_where_refused_rows_went(dags: Mapping[str, DAG], dag_id: str) -> None:
    doc = dags[dag_id].doc_md or ""

    assert "**Effect.**" in doc
    assert "**Re-run.**" in doc
    assert "bronze." in doc
    assert dags[dag_id].max_active_runs == 1


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_fits_a_screen_and_imports_nothing_of_ours_but_settings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    ours = {name for name in imported if name and name.split(".")[0] in _our_packages()}
    assert ours <= {"lakehouse.settings"}
    assert len(path.read_text().splitlines()) <= 110


def test_ingest_runs_its_steps_in_two_jvms_one_after_the_other(dags: Mapping[str, DAG]) -> None:
    ingest = dags["ingest"]

    assert arguments(ingest, "load_documents", GOOD)[:2] == ["parse_documents", "chunk_documents"]
    assert arguments(ingest, "build_index", GOOD)[:2] == ["embed_chunks", "sync_index"]
    assert ingest.get_task("build_index").upstream_task_ids == {"load_documents"}


def test_without_snapshot_and_groups_the_job_gets_neither(dags: Mapping[str, DAG]) -> None:
    assert arguments(dags["ingest"], "load_documents", GOOD)[2:] == [
        "--run-id=run-1", "--tenant=acme", "--source=wiki", "--groups=", "--path=/data",
    ]  # fmt: skip


def test_no_character_of_a_parameter_is_read_as_code_or_splits_an_argument(dags: Mapping[str, DAG]) -> None:
    paths = [f"--path={path}" for path in NASTY["path"]]
    assert arguments(dags["ingest"], "load_documents", NASTY)[2:] == [
        "--run-id=run-1", "--tenant=acme", "--source=--steal", f"--groups={NASTY['groups']}", *paths, "--snapshot",
    ]  # fmt: skip


def test_a_replay_names_its_runs(dags: Mapping[str, DAG]) -> None:
    assert arguments(dags["ingest"], "load_documents", GOOD | {"replay": ["a", "--b"]})[-2:] == [
        "--replay=a", "--replay=--b",
    ]  # fmt: skip


def test_forgetting_names_what_it_is_given_and_no_more(dags: Mapping[str, DAG]) -> None:
    forget = dags["forget"]

    assert arguments(forget, "forget_documents", {"tenant": "acme"}) == [
        "forget_documents", "--run-id=run-1", "--tenant=acme",
    ]  # fmt: skip
    some = {"tenant": "acme", "source": "{{ run_id }}", "document": ["a b", "--source=x"]}
    assert arguments(forget, "forget_documents", some)[2:] == [
        "--tenant=acme", "--source={{ run_id }}", "--document=a b", "--document=--source=x",
    ]  # fmt: skip


@pytest.mark.integration
def test_spark_submit_passes_the_arguments_on_as_they_are(
    dags: Mapping[str, DAG], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    written = tmp_path / "arguments.json"
    job = tmp_path / "job.py"
    job.write_text(f"import json, sys\nopen({str(written)!r}, 'w').write(json.dumps(sys.argv[1:]))\n")
    task = dags["ingest"].get_task("load_documents").prepare_for_execution()
    task.render_template_fields({"params": NASTY, "run_id": "run-1"})
    given = list(task.application_args)
    task.application, task.conf = str(job), {}

    task.execute({})

    assert json.loads(written.read_text()) == given


@pytest.mark.parametrize(
    "bad",
    [
        {"tenant": "a b"},
        {"tenant": ""},
        {"tenant": 'x" or tenant_id != "'},
        {"path": "/data"},
        {"path": []},
        {"path": [""]},
        {"source": ""},
        {"snapshot": "yes"},
        {"groups": ["staff"]},
        {"tenant": None},
    ],
    ids=str,
)
def test_a_bad_parameter_is_refused_before_anything_runs(dags: Mapping[str, DAG], bad: dict[str, Any]) -> None:
    params = deepcopy(dags["ingest"].params)

    with pytest.raises(ParamValidationError):
        params.update(GOOD | bad)


def test_good_parameters_pass_and_are_described(dags: Mapping[str, DAG]) -> None:
    params = deepcopy(dags["ingest"].params)

    params.update(GOOD)

    assert params.validate() == GOOD | {"groups": "", "snapshot": False, "replay": []}
    assert all(params.get_param(name).description for name in params)


def test_costs_are_loaded_by_the_clock_without_catching_up(dags: Mapping[str, DAG]) -> None:
    load_costs = dags["load_costs"]

    assert load_costs.schedule == "*/15 * * * *"
    assert load_costs.catchup is False
    assert arguments(load_costs, "load_llm_calls", {})[0] == "load_llm_calls"


def test_costs_start_no_jvm_while_nothing_is_spooled(dags: Mapping[str, DAG], home: Path) -> None:
    skips_when_idle = dags["load_costs"].get_task("load_llm_calls")._pre_execute_hook

    with pytest.raises(AirflowSkipException):
        skips_when_idle({})

    segment = Settings(home=home).spool_dir / "open" / "1.jsonl"
    segment.parent.mkdir(parents=True)
    segment.write_text("{}\n")
    skips_when_idle({})


def test_every_job_gets_the_spark_configuration_of_the_settings(dags: Mapping[str, DAG]) -> None:
    jobs = [task for dag in dags.values() for task in dag.tasks]

    assert [task.conf for task in jobs] == [Settings().spark_conf] * 4
    assert all(Path(task.application).parts[-2:] == ("spark_jobs", "main.py") for task in jobs)


def _our_packages() -> set[str]:
    return {path.parent.name for path in PROJECT_ROOT.glob("*/__init__.py")}
