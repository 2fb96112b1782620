"""Settings: a typo or a bad value stops the start with its name and a way out, and secrets stay hidden."""

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from lakehouse.errors import SettingsError
from lakehouse.settings import Settings, load_settings
from lakehouse.spark_conf import embedding_conf, spark_conf


def test_a_bare_environment_gives_the_defaults() -> None:
    assert load_settings({"PATH": "/bin"}) == Settings()


def test_values_from_the_environment_win_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "lakehop.toml"
    config.write_text('max_hops = 2\ngateway_url = "http://10.0.0.1:80"\n')

    settings = load_settings({"LAKEHOP_CONFIG": str(config), "LAKEHOP_MAX_HOPS": "4", "LAKEHOP_TASK_MAX_USD": "0.02"})
    assert (settings.max_hops, settings.gateway_url) == (4, "http://10.0.0.1:80")
    assert settings.task_max_usd == Decimal("0.02")


def test_an_unknown_name_suggests_the_near_one() -> None:
    with pytest.raises(SettingsError, match=r"^unknown setting LAKEHOP_MILVUS_URL: did you mean LAKEHOP_MILVUS_URI\?$"):
        load_settings({"LAKEHOP_MILVUS_URL": "http://127.0.0.1:1"})


def test_an_unknown_name_with_nothing_near_says_where_all_are_listed() -> None:
    with pytest.raises(SettingsError, match=r"LAKEHOP_ZZZZ: `lakehop status` lists all settings\."):
        load_settings({"LAKEHOP_ZZZZ": "1"})


def test_an_unknown_name_in_the_file_is_refused_too(tmp_path: Path) -> None:
    config = tmp_path / "lakehop.toml"
    config.write_text("max_hop = 2\n")
    with pytest.raises(SettingsError, match="unknown setting LAKEHOP_MAX_HOP: did you mean LAKEHOP_MAX_HOPS"):
        load_settings({"LAKEHOP_CONFIG": str(config)})


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("LAKEHOP_MAX_HOPS", "9", "LAKEHOP_MAX_HOPS='9': .*less than or equal to 8.*Searches of one multihop task"),
        ("LAKEHOP_MAX_HOPS", "many", "LAKEHOP_MAX_HOPS='many': .*valid integer"),
        ("LAKEHOP_TASK_MAX_USD", "0", "LAKEHOP_TASK_MAX_USD='0': .*greater than 0"),
        ("LAKEHOP_MILVUS_URI", "localhost", "LAKEHOP_MILVUS_URI='localhost': .*must be a URL such as"),
        ("LAKEHOP_PROGRAM", "magic", "LAKEHOP_PROGRAM='magic': .*'single_shot'.*'multihop'"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name: str, value: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        load_settings({name: value})


def test_all_bad_values_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"LAKEHOP_MAX_HOPS": "0", "LAKEHOP_THRIFT_PORT": "0"})
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == [
        "LAKEHOP_MAX_HOPS",
        "LAKEHOP_THRIFT_PORT",
    ]


def test_an_old_name_works_and_warns_with_the_new_name(capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings({"LAKEHOP_TASKS_DATABASE_URL": "sqlite:////srv/a.sqlite"})

    assert settings.database_url.get_secret_value() == "sqlite:////srv/a.sqlite"
    assert "LAKEHOP_TASKS_DATABASE_URL is now LAKEHOP_DATABASE_URL" in capsys.readouterr().err


def test_an_old_name_beside_the_new_one_must_have_the_same_value() -> None:
    old, new = "LAKEHOP_TASKS_DATABASE_URL", "LAKEHOP_DATABASE_URL"
    assert load_settings({old: "sqlite:////a", new: "sqlite:////a"}).database_url.get_secret_value() == "sqlite:////a"
    with pytest.raises(SettingsError, match=f"{old} is the old name of {new}.*Remove {old}") as caught:
        load_settings({old: "postgresql+psycopg://me:hunter2@host/a", new: "sqlite:////a"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "max_hops = = 2"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    config = tmp_path / "lakehop.toml"
    if text:
        config.write_text(text)
    with pytest.raises(
        SettingsError, match=r"LAKEHOP_CONFIG='.*lakehop\.toml': .*Name a readable TOML file, or unset it"
    ):
        load_settings({"LAKEHOP_CONFIG": str(config)})


def test_every_setting_has_a_description_that_is_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description[0].isupper() or field.description[0] == "`", name
        assert field.description.endswith("."), name


def test_secrets_do_not_show() -> None:
    secret = "hunter2"
    settings = load_settings(
        {"LAKEHOP_MILVUS_TOKEN": secret, "LAKEHOP_LLM_API_KEY": secret, "LAKEHOP_AIRFLOW_PASSWORD": secret}
    )
    assert settings.milvus_token.get_secret_value() == secret
    assert secret not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_whatever_is_named_like_a_secret_is_typed_as_one() -> None:
    for name, field in Settings.model_fields.items():
        if name.endswith(("_token", "_key", "_password", "_secret")):
            assert field.annotation is SecretStr, name


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().max_hops = 1  # type: ignore[misc]


def test_places_follow_from_home_unless_they_are_given(tmp_path: Path) -> None:
    settings = load_settings({"LAKEHOP_HOME": str(tmp_path)})
    assert settings.warehouse_root == f"{tmp_path}/warehouse"
    assert settings.spool_dir == tmp_path / "spool"
    assert load_settings({"LAKEHOP_WAREHOUSE": "s3a://bucket/lake/"}).warehouse_root == "s3a://bucket/lake"


def test_only_jobs_that_embed_ask_a_cluster_for_gpus() -> None:
    on_cluster = Settings(spark_master="spark://host:7077", spark_gpus_per_task=Decimal("0.5"))
    coming_and_going = on_cluster.model_copy(update={"spark_dynamic_allocation": True})

    asking = {name for name in embedding_conf(on_cluster) if "gpu" in name}
    assert asking == {"spark.executor.resource.gpu.amount"}
    for settings in (on_cluster, coming_and_going, Settings(spark_gpus_per_task=Decimal(1))):
        assert not [name for name in spark_conf(settings) if "gpu" in name]
    assert embedding_conf(coming_and_going) == spark_conf(coming_and_going)


def test_no_secret_of_the_storage_stands_on_a_command_line() -> None:
    settings = Settings(
        warehouse="s3a://lake", s3_endpoint="http://127.0.0.1:9000", s3_access_key="key", s3_secret_key="hush"
    )
    assert settings.delta_storage["aws_secret_access_key"] == "hush"
    assert "hush" not in str(embedding_conf(settings))
    assert Settings().delta_storage == {}


def test_the_bundled_model_reads_one_passage_at_a_time_and_others_three() -> None:
    assert load_settings({}).passages_at_once == 1
    assert load_settings({"LAKEHOP_LLM_MODEL": "reader"}).passages_at_once == 3
    assert load_settings({"LAKEHOP_LLM_READS": "2"}).passages_at_once == 2
