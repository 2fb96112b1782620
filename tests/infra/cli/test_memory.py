"""`lakehop memory`: a user's memories are listed, and forgotten with a proof."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from infra.cli.main import main
from lakehouse.settings import Settings
from lakehouse.state.memory import Memories, Owner
from lakehouse.storage.delta import ensure_tables


@pytest.fixture
def memories(home: Path, monkeypatch: pytest.MonkeyPatch) -> Memories:
    monkeypatch.setenv("LAKEHOP_HOME", str(home))
    settings = Settings(home=home)
    ensure_tables(settings)
    return Memories(settings)


def run(*arguments: str) -> dict:
    result = CliRunner().invoke(main, ["memory", *arguments, "--tenant", "acme", "--user", "ann", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_users_memory_is_listed_and_forgotten_in_one_app_or_in_all(memories: Memories) -> None:
    for app, text in (("wiki", "one"), ("wiki", "two"), ("hr-bot", "three")):
        memories.note(Owner("acme", app, "ann"), text)
    memories.note(Owner("acme", "wiki", "bob"), "bob's")

    listed = run("list")["entries"]
    assert {(entry["app"], entry["text"]) for entry in listed} == {
        ("wiki", "one"),
        ("wiki", "two"),
        ("hr-bot", "three"),
    }
    one = next(entry["memory_id"] for entry in listed if entry["text"] == "one")
    assert run("forget", "--id", one, "--yes")["entries"] == 1
    assert [entry["text"] for entry in run("list", "--app", "wiki")["entries"]] == ["two"]

    done = run("forget", "--yes")
    assert (done["entries"], done["rows_left"], done["files_purged"] >= 2) == (2, 0, True)
    assert run("list") == {"entries": []}
    assert len(memories.entries(Owner("acme", "wiki", "bob"), ())) == 1


def test_a_person_reads_a_table_and_nobody_is_asked_where_nobody_can_answer(memories: Memories) -> None:
    memories.note(Owner("acme", "wiki", "ann"), "I work on Orion.")

    shown = CliRunner().invoke(main, ["memory", "list", "--tenant", "acme", "--user", "ann"])
    asked = CliRunner().invoke(main, ["memory", "forget", "--tenant", "acme", "--user", "ann"])

    assert "I work on Orion." in shown.output
    assert (asked.exit_code, "add --yes" in asked.output) == (2, True)
