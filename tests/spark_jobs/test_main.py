"""The command line that spark-submit gets."""

from importlib.util import find_spec

import pytest

from spark_jobs.main import STEPS, parse_arguments

REST = ["--run-id=r", "--tenant=acme", "--source=wiki"]


def test_arguments_are_read_as_the_dags_give_them() -> None:
    args = parse_arguments(
        ["parse_documents", "chunk_documents", *REST, "--path=-a", "--path=b c", "--groups= hr,eng,,hr",
         "--group=CN=Sales,OU=EMEA", "--snapshot", "--allow-deleting"]
    )  # fmt: skip

    assert vars(args) == {
        "steps": ["parse_documents", "chunk_documents"],
        "run_id": "r",
        "tenant": "acme",
        "source": "wiki",
        "path": ["-a", "b c"],
        "groups": ["CN=Sales,OU=EMEA", "eng", "hr"],
        "group": ["CN=Sales,OU=EMEA"],
        "snapshot": True,
        "allow_deleting": True,
        "embedding_model": None,
        "replay": [],
        "document": [],
    }


def test_every_step_has_its_module() -> None:
    assert all(find_spec(module) for module in STEPS.values())


@pytest.mark.parametrize("given", [["load_llm_calls"], ["reconcile_index"], ["reindex", "--embedding-model=m"]])
def test_what_is_for_all_tenants_needs_none(given: list[str]) -> None:
    assert parse_arguments([*given, "--run-id=r"]).tenant is None


def test_forgetting_needs_a_tenant_and_no_source() -> None:
    args = parse_arguments(["forget_documents", "--run-id=r", "--tenant=acme", "--document=-a", "--document=b"])

    assert (args.source, args.document) == (None, ["-a", "b"])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "STEP"),
        (["dance", *REST], "dance"),
        (["embed_chunks", "--tenant=acme", "--source=wiki"], "--run-id"),
        (["embed_chunks", "--run-id=r", "--source=wiki"], "--tenant"),
        (["parse_documents", *REST], "--path"),
        (["reindex", *REST], "--embedding-model"),
        (["sync_index", "--run-id=r", "--tenant=a b", "--source=wiki"], "'a b'"),
        (["sync_index", *REST, "--groups=a\nb"], "'a\\nb'"),
        (["sync_index", *REST, "--groups=CN=Sales,OU=EMEA"], "'CN=Sales' looks like a part of one name"),
        (["sync_index", *REST, "--group="], "is blank"),
        (["sync_index", *REST, "--color"], "--color"),
        (["forget_documents", "--run-id=r"], "--tenant"),
        (["parse_documents", *REST, "--path=a", "--replay=r", "--snapshot"], "--replay"),
    ],
)
def test_wrong_arguments_exit_with_2_and_name_what_is_wrong(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)

    assert ended.value.code == 2
    assert named in capsys.readouterr().err
