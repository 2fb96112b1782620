"""Every DAG loads, explains itself, refuses bad parameters, and hands good ones to Spark unaltered."""

import ast
import json
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.asset import BaseAsset
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    ParamValidationError,
)

from dags.compile import options
from dags.evaluate import wanted
from dags.shared.alerts import last_error, tell_of_failure
from dags.shared.feeds_file import read_feeds_file
from dags.shared.processes import run_lakehop
from lakehouse.settings import PROJECT_ROOT, Settings
from lakehouse.spark_conf import spark_conf

DAGS = PROJECT_ROOT / "dags"
RUN: Any = {"run_id": "run-1"}
GOOD = {"path": ["/data"], "tenant": "acme", "source": "wiki"}
FEEDS = """
[feeds.wiki]
path = ["/exports/dt={{ ds }}/", "/more/{{ ds_nodash }}"]
tenant = "acme"
groups = "staff"
schedule = "@daily"
start_date = 2026-11-01

[evaluations.acme]
tenant = "acme"
groups = "staff"
questions = "/questions/acme.jsonl"

[compilations.acme]
tenant = "acme"
questions = "/questions/train.jsonl"
optimizer = "gepa"
schedule = "@weekly"
"""
DAG_IDS = [
    *(
        "compile",
        "compile_acme",
        "evaluate",
        "forget",
        "ingest",
        "ingest_wiki",
        "load_costs",
        "maintenance",
        "reconcile",
        "reindex",
    )
]
NASTY = {
    "path": ["/tmp/a b/$HOME;{{ run_id }}'\"`ls`.jsonl", "--groups=all", "a,b"],
    "tenant": "acme",
    "source": "--steal",
    "groups": "staff\"] or tenant_id != \",'x') or 1==1,{{ params.tenant }},日本 ,a\\b,*",
    "snapshot": True,
    "allow_deleting": False,
    "replay": [],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def dags(home: Path) -> Mapping[str, DAG]:
    (home / "feeds.toml").write_text("\ufeff" + FEEDS)  # as editors of Windows save it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOP_HOME", str(home))
        patch.setenv("LAKEHOP_FEEDS_FILE", str(home / "feeds.toml"))
        bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


def arguments(dag: DAG, task_id: str, params: Mapping[str, Any]) -> list[str]:
    """What the task gives to its Spark job, once Airflow has filled in the run."""
    task = dag.get_task(task_id).prepare_for_execution()
    task.render_template_fields({"params": dict(dag.params.dump() | params), "run_id": "run-1"})
    return list(task.application_args)


def submitting(dags: Mapping[str, DAG], job: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first task of ingest, about to submit the given program with all that a run fills in."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    program = folder / "job.py"
    program.write_text(job)
    task = dags["ingest"].get_task("load_documents").prepare_for_execution()
    task.render_template_fields({"params": NASTY, "run_id": "run-1"})
    task.application, task.conf = str(program), {}
    return task


def test_the_dags_are_those_of_the_design(dags: Mapping[str, DAG]) -> None:
    assert set(dags) >= set(DAG_IDS)


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_a_dag_explains_its_effect_its_rerun_and_where_refused_rows_went(dags: Mapping[str, DAG], dag_id: str) -> None:
    doc = dags[dag_id].doc_md or ""

    assert "**Effect.**" in doc
    assert "**Re-run.**" in doc
    assert "bronze." in doc
    # runs of one tenant take turns; two tenants must not wait for each other
    assert dags[dag_id].max_active_runs == (16 if dag_id == "ingest" else 1)


@pytest.mark.parametrize("path", sorted(DAGS.glob("*.py")), ids=lambda path: path.stem)
def test_a_dag_file_fits_a_screen_and_imports_nothing_of_ours_but_settings(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}

    ours = {name for name in imported if name and name.split(".")[0] in _our_packages() - {"dags"}}
    assert ours <= {"lakehouse.settings"}
    assert len(path.read_text().splitlines()) <= 120


def test_ingest_runs_its_steps_in_two_jvms_one_after_the_other(dags: Mapping[str, DAG]) -> None:
    ingest = dags["ingest"]

    assert arguments(ingest, "load_documents", GOOD)[:2] == ["parse_documents", "chunk_documents"]
    assert arguments(ingest, "build_index", GOOD)[:2] == ["embed_chunks", "sync_index"]
    assert ingest.get_task("build_index").upstream_task_ids == {"load_documents"}


def test_without_snapshot_and_groups_the_job_gets_neither(dags: Mapping[str, DAG]) -> None:
    assert arguments(dags["ingest"], "load_documents", GOOD)[2:] == [
        "--run-id=run-1", "--tenant=acme", "--source=wiki", "--path=/data",
    ]  # fmt: skip


def test_no_character_of_a_parameter_is_read_as_code_or_splits_an_argument(dags: Mapping[str, DAG]) -> None:
    paths = [f"--path={path}" for path in NASTY["path"]]
    assert arguments(dags["ingest"], "load_documents", NASTY)[2:] == [
        "--run-id=run-1", "--tenant=acme", "--source=--steal", f"--groups={NASTY['groups']}", *paths, "--snapshot",
    ]  # fmt: skip


def test_groups_in_a_list_are_whole_names(dags: Mapping[str, DAG]) -> None:
    groups = ["CN=Sales,OU=EMEA", "--tenant=x"]
    assert arguments(dags["ingest"], "load_documents", GOOD | {"groups": groups, "allow_deleting": True})[4:] == [
        "--source=wiki", "--group=CN=Sales,OU=EMEA", "--group=--tenant=x", "--path=/data", "--allow-deleting",
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
    written = tmp_path / "arguments.json"
    job = f"import json, sys\nopen({str(written)!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
    task = submitting(dags, job, tmp_path, monkeypatch)
    given = list(task.application_args)

    task.execute(RUN)

    assert json.loads(written.read_text()) == given


@pytest.mark.integration
@pytest.mark.parametrize(("code", "is_final"), [(2, True), (1, False)])
def test_wrong_input_fails_in_one_try_and_any_other_failure_is_tried_again(
    dags: Mapping[str, DAG], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_final: bool
) -> None:
    said = "2026-11-21 08:00:00,000 ERROR spark_jobs path '/nope': nothing is there."
    task = submitting(dags, f"import sys\nprint({said!r})\nsys.exit({code})\n", tmp_path, monkeypatch)

    with pytest.raises(AirflowException, match="nothing is there") as failure:
        task.execute(RUN)

    assert isinstance(failure.value, AirflowFailException) is is_final
    assert last_error(failure.value).endswith("spark_jobs path '/nope': nothing is there.")


@pytest.mark.integration
def test_a_job_that_is_stopped_leaves_no_process_that_writes_on(
    dags: Mapping[str, DAG], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = tmp_path / "begun"
    job = f"import os, time\nopen({str(begun)!r}, 'w').write(str(os.getpid()))\ntime.sleep(300)\n"
    task = submitting(dags, job, tmp_path, monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(task.execute, RUN)
        while not (begun.exists() and begun.read_text()) and not ending.done():
            time.sleep(0.1)

        task.on_kill()

        with pytest.raises(AirflowException):
            ending.result(timeout=30)
    psutil.wait_procs([psutil.Process(pid) for pid in [int(begun.read_text())] if psutil.pid_exists(pid)], timeout=5)
    assert not psutil.pid_exists(int(begun.read_text()))


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
        {"groups": [""]},
        {"groups": 7},
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

    assert params.validate() == GOOD | {"groups": [], "snapshot": False, "allow_deleting": False, "replay": []}
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
    jobs = [task for dag in dags.values() for task in dag.tasks if isinstance(task, SparkSubmitOperator)]

    assert len(jobs) >= 6
    assert all(task.conf == spark_conf(Settings()) for task in jobs)
    assert all(Path(task.application).parts[-2:] == ("spark_jobs", "main.py") for task in jobs)


def test_every_task_ends_in_time_tells_of_its_failure_and_keeps_to_a_pool(dags: Mapping[str, DAG]) -> None:
    pools = {f"{dag.dag_id}.{task.task_id}": task.pool for dag in dags.values() for task in dag.tasks}

    for dag in dags.values():
        for task in dag.tasks:
            assert task.execution_timeout is not None, task
            assert task.on_failure_callback == [tell_of_failure], task
            assert task.retries == 0 or task.retry_exponential_backoff, task
    # what writes documents and the index, one at a time; what asks the model, one at a time; the bill waits for neither
    assert {
        pools[f"{dag}.{task}"] for dag in ("ingest", "ingest_wiki") for task in ("load_documents", "build_index")
    } == {"lakehouse_writer"}
    assert pools["maintenance.maintain"] == "lakehouse_writer"
    assert pools["evaluate.ask_questions"] == pools["compile_acme.compile_program"] == "model_caller"
    assert pools["load_costs.load_llm_calls"] == "default_pool"


def test_only_a_new_index_version_or_program_has_questions_asked(dags: Mapping[str, DAG]) -> None:
    waits_for = {dag_id: dag.schedule for dag_id, dag in dags.items() if isinstance(dag.schedule, BaseAsset)}
    writes = {
        asset.name: f"{dag.dag_id}.{task.task_id}"
        for dag in dags.values()
        for task in dag.tasks
        for asset in task.outlets
    }

    assert set(waits_for) == {"evaluate"}
    assert {asset.name for asset in dags["evaluate"].schedule.objects} == {"index_version", "program"}
    assert writes["program"].removeprefix("compile_acme").removeprefix("compile") == ".compile_program"
    assert writes["evaluation"] == "evaluate.ask_questions"
    assert writes["call_records"] == "load_costs.load_llm_calls"


def test_a_feed_fills_the_runs_date_into_its_path_and_is_dated_without_catching_up(dags: Mapping[str, DAG]) -> None:
    feed = dags["ingest_wiki"]
    task = feed.get_task("load_documents").prepare_for_execution()
    dated = {
        "run_id": "r",
        "logical_date": datetime(2026, 11, 3, tzinfo=UTC),
        "ds": "2026-11-03",
        "ds_nodash": "20261103",
    }

    task.render_template_fields(dated)

    assert task.application_args == [
        "parse_documents", "chunk_documents", "--run-id=r", "--tenant=acme", "--source=wiki",
        "--groups=staff", "--path=/exports/dt=2026-11-03/", "--path=/more/20261103",
    ]  # fmt: skip
    assert (feed.catchup, feed.max_active_runs, feed.start_date) == (False, 1, datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(AirflowFailException, match="no logical date"):
        feed.get_task("load_documents").prepare_for_execution().render_template_fields({"run_id": "r"})


@pytest.mark.parametrize("bad", ["[feeds.wiki]\ntenant = 'acme'", "[feed.x]", "[feeds.'a b']\n", "feeds = "])
def test_a_bad_feeds_file_says_what_to_correct(bad: str, tmp_path: Path) -> None:
    (tmp_path / "feeds.toml").write_text(bad)

    with pytest.raises(ValueError, match=r"(?s)LAKEHOP_FEEDS_FILE=.*Correct the file"):
        read_feeds_file(Settings(feeds_file=str(tmp_path / "feeds.toml")))


@pytest.mark.parametrize(
    ("params", "tenants", "asked"),
    [
        ({"questions": "/q.jsonl", "tenant": "t"}, [], ["/q.jsonl"]),  # by hand, from the form
        ({}, [], ["/questions/acme.jsonl"]),  # by hand, all that is declared
        ({}, ["acme"], ["/questions/acme.jsonl"]),  # after an event about the tenant
        ({}, ["other"], []),  # about a tenant for which nothing is declared
    ],
)
def test_what_is_asked_is_what_the_form_or_the_feeds_file_names(
    dags: Mapping[str, DAG],
    home: Path,
    params: Any,
    tenants: list[str],
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAKEHOP_FEEDS_FILE", str(home / "feeds.toml"))
    events = {"index_version": [SimpleNamespace(extra={"tenant": tenant}) for tenant in tenants]}
    context = {"params": dict(dags["evaluate"].params.dump()) | params, "triggering_asset_events": events}

    assert [one["questions"] for one in wanted(context)] == asked


def test_a_compilation_that_is_declared_runs_by_its_own_schedule(dags: Mapping[str, DAG]) -> None:
    declared = dags["compile_acme"]
    assert (declared.schedule, dags["compile"].schedule) == ("@weekly", None)
    (given,) = declared.get_task("compile_program").op_args
    assert options(given) == [
        "--tenant=acme", "--questions=/questions/train.jsonl", "--program=multihop", "--optimizer=gepa",
    ]  # fmt: skip


def test_a_command_that_calls_its_usage_wrong_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"wrong input.*no-such-file"):
        run_lakehop(["eval", f"--questions={tmp_path / 'no-such-file'}", "--tenant=acme"])


def _our_packages() -> set[str]:
    return {path.parent.name for path in PROJECT_ROOT.glob("*/__init__.py")}
