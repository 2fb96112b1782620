"""The declarations of tables and views hold together."""

from collections import Counter
from typing import Any

import pytest

from lakehouse.analytics.gold import VIEWS
from lakehouse.storage.delta import ARROW_TYPES
from lakehouse.storage.spark import SPARK_TYPES
from lakehouse.tables import FORGET_RUNS, TABLES, Forget, Type

RELATIONS = (*TABLES, *VIEWS)
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
each_relation = pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)


def test_names_are_unique_and_say_their_layer() -> None:
    names = [relation.name for relation in RELATIONS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert {name.split(".")[0] for name in names} == {"bronze", "silver", "gold", "ops"}


@each_table
def test_keys_and_partitions_are_columns_that_are_never_null(table: Any) -> None:
    never_null = {column.name for column in table.columns if not column.nullable}
    assert table.key
    assert {*table.key, *table.partition_by} <= never_null


@each_relation
def test_columns_have_one_name_each(relation: Any) -> None:
    folded = [name.lower() for name in relation.column_names]  # Spark does not tell A from a
    assert [name for name, count in Counter(folded).items() if count > 1] == []


@each_relation
def test_every_column_is_described_in_sentences(relation: Any) -> None:
    assert relation.grain.startswith("one ")
    for column in relation.columns:
        assert column.doc.endswith((".", "…")), column.name
        assert column.doc.strip("`. ").lower() != column.name.replace("_", " "), column.name


@each_relation
def test_a_column_that_can_be_null_says_what_that_means(relation: Any) -> None:
    silent = [c.name for c in relation.columns if c.nullable and "NULL" not in c.doc and "The same" not in c.doc]
    assert silent == []


@each_table
def test_a_table_says_what_forgetting_does_to_it(table: Any) -> None:
    assert table.forget is not None, "give it a `Forget`: may its rows quote a document, and when do they go?"
    names = set(table.column_names)
    needed = {
        Forget.DOCUMENT: {"tenant_id", "source", "doc_id"},
        Forget.UNUSED_TEXT: {"content_hash"},
        Forget.MEMORY: {"tenant_id", "sources", "doc_ids"},
        Forget.TENANT: {"tenant_id"},
        Forget.EVAL_RUN: {"run_id", "task_id"},
    }
    assert needed.get(table.forget, set()) <= names
    # a document's text or id is never in a table that only loses rows with the tenant
    assert table.forget is Forget.DOCUMENT or not any(name.endswith("doc_id") for name in names)
    assert table.forget is not Forget.KEPT or "tenant_id" not in names or table is FORGET_RUNS
    assert table.partition_by in ((), ("tenant_id",)), "a purge takes a tenant's folder, or all of the table"


@each_table
def test_a_table_lies_below_the_root_by_its_name(table: Any) -> None:
    schema, name = table.name.split(".")
    assert table.path("s3a://lake") == f"s3a://lake/{schema}/{name}"


def test_every_type_of_a_table_is_known_to_arrow_and_to_spark() -> None:
    used = {column.type for table in TABLES for column in table.columns}
    assert used <= set(ARROW_TYPES)
    assert used <= set(SPARK_TYPES)
    assert set(Type) - used == {Type.DATE}  # a view's
