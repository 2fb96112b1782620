"""The command line as other programs see it: exit status, one JSON document on stdout, one message on stderr."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import infra.dag_runs.ingest
from infra.cli.main import main
from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables

Run = Callable[..., Result]


@pytest.fixture
def run(home: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call `lakehop` with a home of its own; nothing listens on the services' ports."""
    monkeypatch.setenv("LAKEHOP_HOME", str(home))
    for name in ("MILVUS_URI", "GATEWAY_URL", "AIRFLOW_URL", "LLM_BASE_URL"):
        monkeypatch.setenv(f"LAKEHOP_{name}", f"http://127.0.0.1:{free_port()}")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is no group, with its path of words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


LATER = {("reindex",), ("reconcile",), ("plan",)}


def test_the_command_line_has_every_command_of_the_contract() -> None:
    assert {path for path, _ in commands(main)} == LATER | {
        ("up",), ("down",), ("status",), ("ingest",), ("search",), ("ask",), ("passage",), ("eval",), ("sql",),
        ("compile",), ("costs", "flush"), ("keys", "create"), ("keys", "revoke"), ("keys", "list"), ("thrift", "start"),
        ("memory", "list"), ("memory", "forget"), ("programs", "list"), ("programs", "use"),
        ("thrift", "stop"), ("forget",), ("replay",), ("weights",), ("trace",),
    }  # fmt: skip


@pytest.mark.parametrize("path", [path for path, _ in commands(main) if path not in LATER], ids=" ".join)
def test_help_shows_an_example_of_the_command_and_takes_json(run: Run, path: tuple[str, ...]) -> None:
    shown = run(*path, "--help")

    assert shown.exit_code == 0
    assert "\n  lakehop " in shown.output
    assert "--json" in shown.output


def test_help_answers_at_once() -> None:
    begun = time.monotonic()
    subprocess.run([Path(sys.executable).parent / "lakehop", "--help"], check=True, capture_output=True)

    assert time.monotonic() - begun < 2  # 0.1 s on an idle machine; heavy imports would take 5


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "", "--tenant", "acme"),
        ("ask", " \n", "--tenant", "acme"),
        ("search", "", "--tenant", "acme"),
        ("ask", "Why?"),
        ("search", "Why?", "--tenant", "acme", "-k", "0"),
        ("search", "Why?", "--tenant", "acme", "-k", "51"),
        ("search", "Why?", "--tenant", "acme", "--mode", "psychic"),
        ("ask", "Why?", "--tenant", "acme", "--max-usd", "-1"),
        ("ask", "Why?", "--tenant", "acme", "--max-usd", "NaN"),
        ("ask", "Why?", "--tenant", "acme", "--max-seconds", "0"),
        ("ingest", "/no/such/path", "--tenant", "acme"),
        ("ingest", "", "--tenant", "acme"),
        ("ingest", "--tenant", "acme"),
        ("eval", "--questions", "/no/such/file", "--tenant", "acme"),
        ("keys", "create", "--tenant", "a b", "--app", "wiki"),
        ("reindex", "--embedding-model", " "),
        ("reindex", "--embedding-model", "m", "--tenant", "a b"),
        ("reconcile", "--tenant", "a b"),
        ("keys", "create", "--tenant", "acme", "--app", "wiki", "--daily-usd", "0"),
        ("sql", "delete from silver.llm_calls"),
        ("sql", "selec 1"),
        ("nothing",),
        ("forget", "--tenant", "nobody", "--yes"),
        ("forget", "--tenant", "acme", "--document", "", "--yes"),
        ("replay",),
        ("replay", "--run", "r", "--tenant", "acme"),
        ("replay", "--run", "nobodys"),
        ("replay", "--tenant", "nobody"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_with_nothing_on_stdout(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--json")

    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--users", "100"),
    ],
    ids=" ".join,
)
def test_what_later_versions_will_serve_says_so(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "not served by this version" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("search", "Why?", "--tenant", "acme"), "gateway"),
        (("ask", "Why?", "--tenant", "acme"), "gateway"),
        (("ingest", __file__, "--tenant", "acme"), "airflow"),
        (("costs", "flush"), "airflow"),
        (("reindex", "--embedding-model", "other"), "airflow"),
        (("reconcile", "--tenant", "acme"), "airflow"),
    ],
)
def test_a_part_that_is_down_is_named_in_one_line(run: Run, home: Path, arguments: tuple[str, ...], part: str) -> None:
    (home / "operator.key").write_text("lh_key")
    (home / "airflow").mkdir()
    (home / "airflow" / "secrets.json").write_text('{"password": "x"}')

    result = run(*arguments, "--json")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"lakehop: {part} at http://127.0.0.1:")
    assert result.stderr.count("\n") == 1


def test_status_of_a_stack_that_is_down_tells_every_part_and_fails(run: Run) -> None:
    result = run("status", "--json")

    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert {part["name"]: part["state"] for part in document["parts"]} == dict.fromkeys(
        ("spark", "milvus", "vllm", "gateway", "airflow"), "stopped"
    )
    assert document["settings"]["LAKEHOP_MAX_HOPS"] == "3"


def test_up_for_a_cluster_starts_nothing_and_names_what_does_not_answer(run: Run, home: Path) -> None:
    result = run("up", "--profile", "cluster", "--json")

    assert result.exit_code == 1
    assert "milvus at http://127.0.0.1:" in result.stderr
    assert not (home / "run").exists()


def test_down_with_nothing_running_is_done(run: Run) -> None:
    result = run("down", "--json")

    assert (result.exit_code, json.loads(result.stdout)) == (0, {"stopped": []})


def test_a_key_is_created_listed_without_its_secret_and_revoked(run: Run) -> None:
    made = run(
        "keys", "create", "--tenant", "acme", "--groups", 'b, a,"x', "--app", "wiki", "--daily-usd", "0.5", "--json"
    )
    created = json.loads(made.stdout)
    assert created["key"].startswith("lh_")

    listed = run("keys", "list", "--json")
    assert created["key"] not in listed.stdout
    key = json.loads(listed.stdout)["keys"][0]
    assert (key["key_id"], key["groups"], key["revoked_at"]) == (created["key_id"], ['"x', "a", "b"], None)
    assert key["daily_usd"] == "0.5000000000"
    assert key["spent_today_usd"] == "0.0000000000"

    assert run("keys", "revoke", created["key_id"]).exit_code == 0
    assert json.loads(run("keys", "list", "--json").stdout)["keys"][0]["revoked_at"] is not None
    assert run("keys", "revoke", "key_of_nobody").exit_code == 1


def test_a_group_with_commas_is_one_group_and_is_not_split(run: Run) -> None:
    ldap = "CN=Sales,OU=EMEA,DC=example,DC=com"
    create = ("keys", "create", "--tenant", "acme", "--app", "ldap", "--json")

    assert run(*create, "--group", ldap, "--groups", "staff", "--group", "a,b").exit_code == 0
    split, blank = run(*create, "--groups", ldap), run(*create, "--group", "")

    (key,) = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert key["groups"] == [ldap, "a,b", "staff"]
    assert (split.exit_code, blank.exit_code) == (2, 2)
    assert "'CN=Sales' looks like a part of one name" in split.stderr


REFUSED = {
    "documents": {"seen": 3, "added": 1, "quarantined": 2}, "chunks": {"written": 1, "deleted": 0}, "embedded": 1,
    "seconds": 1.0, "run_id": "r1",
    "refusals": [{"kind": "encrypted", "documents": 2, "example": "file:///a.pdf", "reason": "encrypted: why"}],
}  # fmt: skip


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--strict",), 3), (("--strict", "--json"), 3)])
def test_a_run_with_refusals_says_so_and_is_a_failure_only_where_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], status: int
) -> None:
    monkeypatch.setattr(infra.dag_runs.ingest, "ingest", lambda *given: REFUSED)

    done = run("ingest", str(tmp_path), "--tenant", "acme", *options)

    assert done.exit_code == status
    assert ("2 encrypted, e.g. file:///a.pdf" in done.stdout) or json.loads(done.stdout) == REFUSED


def test_sql_prints_one_document_and_for_people_a_table(run: Run, home: Path) -> None:
    ensure_tables(Settings(home=home))
    query = "select cast(1.50 as decimal(18, 10)) as usd, null as nothing, '[b]' as text"

    assert json.loads(run("sql", query, "--json").stdout) == {
        "columns": ["usd", "nothing", "text"],
        "rows": [{"usd": "1.5000000000", "nothing": None, "text": "[b]"}],
    }
    shown = run("sql", query).stdout
    assert "1.5000000000" in shown
    assert "NULL" in shown
    assert "[b]" in shown


def test_a_bad_setting_is_wrong_usage_for_every_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOP_MAX_HOP", "3")

    result = run("status")

    assert result.exit_code == 2
    assert result.stderr == "lakehop: unknown setting LAKEHOP_MAX_HOP: did you mean LAKEHOP_MAX_HOPS?\n"


def test_an_error_of_ours_shows_a_line_and_leaves_its_traceback_in_the_log(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the moon is in the wrong house")

    monkeypatch.setattr(infra.dag_runs.ingest, "flush_costs", broken)

    result = run("costs", "flush", "--json")

    log = home / "logs" / "cli.log"
    assert result.exit_code == 1
    assert result.stderr == (
        f"lakehop: unexpected RuntimeError: the moon is in the wrong house. The traceback is in {log}\n"
    )
    assert "in broken" in log.read_text()
