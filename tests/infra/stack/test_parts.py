"""Which parts a stack has: the kept Spark driver comes with a local Airflow, and decides how many jobs may write."""

from pathlib import Path
from typing import Any

import pytest

from infra.stack.airflow import pools
from infra.stack.parts import local_part_names, stack_parts
from lakehouse.settings import WRITER_POOL, Settings

KEPT: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"local_parts": "milvus"}, False),
    ({"spark_keep_driver": False}, False),
    ({"spark_master": "k8s://cluster"}, False),
]


@pytest.mark.parametrize(("given", "is_kept"), KEPT)
def test_a_spark_driver_is_kept_where_a_local_airflow_runs_local_jobs(
    given: dict[str, Any], is_kept: bool, home: Path
) -> None:
    settings = Settings(home=home, **given)

    assert ("spark" in stack_parts(settings)) is ("spark" in local_part_names(settings)) is is_kept


@pytest.mark.parametrize(
    ("given", "slots"),
    [({}, 3), ({"spark_keep_driver": False}, 1), ({"spark_master": "yarn"}, 1), ({"warehouse": "s3a://lake"}, 1)],
)
def test_several_tenants_write_at_once_only_in_the_kept_driver(given: dict[str, Any], slots: int, home: Path) -> None:
    assert pools(Settings(home=home, **given))[WRITER_POOL]["slots"] == slots
