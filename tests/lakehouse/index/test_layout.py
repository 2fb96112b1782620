"""Names in Milvus, the columns of a collection, and a chunk as a row of it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakehouse.errors import InvalidInput
from lakehouse.index.layout import (
    MAX_TEXT_BYTES,
    MULTIHOP_COLUMNS,
    NAMES,
    alias_name,
    collection_name,
    layout,
    version_of,
)
from lakehouse.index.rows import IndexRow, decode_names, decode_vector, to_row
from lakehouse.index.server import Capabilities
from lakehouse.text.name_keys import dimension

WITHOUT_BM25 = Capabilities("v2.3.5", bm25=False, scalar_index="Trie", several_writers=True)


def chunk(**changed: Any) -> IndexRow:
    row = dict.fromkeys(("source", "title", "heading", "text", "uri"), "")
    row |= {"chunk_id": "c", "tenant_id": "acme", "acl_key": "everyone", "doc_id": "d"}
    return IndexRow(**row, vector=[1.0, 0.0, 0.0, 0.0]) | changed


@given(*[st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)] * 2)
@example("a", "a_v1")
@example("acme", "ac")
@example("a-b", "a_b")
@example("a_d", "a-")
def test_two_tenants_share_no_name_in_milvus(first, second):
    names = [{alias_name(t), collection_name(t, 1), collection_name(t, 12)} for t in (first, second)]

    assert len(names[0]) == 3
    assert all(name.replace("_", "").isalnum() for name in names[0])
    assert first == second or names[0].isdisjoint(names[1])
    assert first == second or not alias_name(first).startswith(alias_name(second))
    assert version_of(first, collection_name(first, 12)) == 12
    assert first == second or version_of(first, collection_name(second, 1)) is None


def test_a_server_without_bm25_gets_no_bm25_schema():
    schema, _ = layout(WITHOUT_BM25, 4)

    assert not schema.functions
    assert "terms" not in [column.name for column in schema.fields]


def test_a_text_too_long_for_milvus_is_cut_between_characters():
    row = to_row(chunk(text="é" * 40_000), ())

    assert row["text"] == "é" * 32_767


def test_a_chunk_holds_its_names_and_any_text_holds_one():
    row = to_row(chunk(title="Harrow Bridge", text="It was built by Ida Kestrel."), MULTIHOP_COLUMNS)

    addresses = {"id::d": 1.0, "path::d": 1.0, "tail::d": 1.0}
    assert decode_names(row["spoken"]).own == {"harrow bridge": 1.0} | addresses
    assert set(decode_names(row["spoken"]).say) == {"ida kestrel", "harrow bridge"}
    assert {dimension("own:harrow bridge"), dimension("say:ida kestrel")} < set(row[NAMES])
    assert all(to_row(chunk(text=text), [NAMES])[NAMES] for text in ("", "?", "中文"))  # Milvus refuses an empty one


def test_a_vector_stands_beside_its_chunk_as_text():
    vector = np.random.default_rng(1).normal(size=384)
    row = to_row(chunk(vector=3 * vector), MULTIHOP_COLUMNS)

    np.testing.assert_allclose(decode_vector(row["direction"]), vector / np.linalg.norm(vector), atol=1e-3)
    assert not decode_vector(to_row(chunk(vector=np.zeros(8)), MULTIHOP_COLUMNS)["direction"]).any()


def test_names_fit_into_their_column_whatever_the_text():
    words = " and ".join(f"{'É' * 90}x{number} Of É" for number in range(500))
    row = to_row(chunk(title="É" * 3_000, text=words), [NAMES])

    assert len(row["spoken"].encode()) < MAX_TEXT_BYTES


@pytest.mark.parametrize("chunk_id", ["", 'a"', "a\\", "a\n", "x" * 129])
def test_an_impossible_chunk_id_is_refused(chunk_id):
    with pytest.raises(InvalidInput, match="chunk_id"):
        to_row(chunk(chunk_id=chunk_id), ())
