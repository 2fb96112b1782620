"""How a tenant's chunks lie in Milvus: names of alias and collections, and the columns of a collection."""

import re
from typing import Any

from pymilvus import DataType, Function, FunctionType, MilvusClient

from lakehouse.access.permissions import check_tenant
from lakehouse.index.lexical import ANALYZER, BM25_B, BM25_K1
from lakehouse.index.server import Capabilities
from lakehouse.text.search_text import SEARCH_TEXT_VERSION

LAYOUT_VERSION = 2
"""Of the columns below and of what they hold. Raise it with every change: older collections are then built again."""
LAYOUT = f"{LAYOUT_VERSION}.{SEARCH_TEXT_VERSION}"
"""The layout and the search text of the collections that this release creates."""
PREFIX = "lakehop_"  # a Milvus may be shared with other applications
PASSAGE_COLUMNS = ("source", "doc_id", "title", "heading", "text", "uri")
NAMES = "names"
"""The chunk's names as a sparse vector."""
STORED_COLUMNS = ("spoken", "direction")
"""What multi-hop search reads with a passage: its names as JSON; its vector as text, for Milvus returns a vector number
by number, which took half of a search's time."""
MULTIHOP_COLUMNS = frozenset((NAMES, *STORED_COLUMNS))
"""Columns that older collections lack."""
MAX_TEXT_BYTES = 65_535  # Milvus's largest VARCHAR


def alias_name(tenant_id: str) -> str:
    """The tenant's alias, e.g. `lakehop_acme_live`; its collections are `lakehop_acme_v1`, `_v2` …

    Milvus takes letters, digits and `_` only, so `_` and `-` of the tenant become `_u` and `_d`, and no two tenants
    share a name. No alias is the beginning of another alias: Milvus 2.3 drops those together with it.
    """
    return f"{_prefix(tenant_id)}_live"


def collection_name(tenant_id: str, version: int) -> str:
    """The tenant's collection of that version, from 1."""
    return f"{_prefix(tenant_id)}_v{version}"


def version_of(tenant_id: str, collection: str) -> int | None:
    """The version in a collection's name; None for a collection of another tenant."""
    match = re.fullmatch(re.escape(_prefix(tenant_id)) + r"_v(\d+)", collection)
    return int(match[1]) if match else None


def layout(capabilities: Capabilities, dimension: int) -> tuple[Any, Any]:
    """Schema and indexes of a collection, as `MilvusClient.create_collection` takes them."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("chunk_id", DataType.VARCHAR, max_length=512, is_primary=True)
    schema.add_field("tenant_id", DataType.VARCHAR, max_length=64)
    schema.add_field("acl_key", DataType.VARCHAR, max_length=64)
    for name in (*PASSAGE_COLUMNS, "document_type", "author"):
        schema.add_field(name, DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
    schema.add_field("updated_at", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
    indexes.add_index("acl_key", index_type=capabilities.scalar_index, index_name="acl_key")
    if capabilities.bm25:
        schema.add_field(
            "index_text",
            DataType.VARCHAR,
            max_length=MAX_TEXT_BYTES,
            enable_analyzer=True,
            analyzer_params=ANALYZER,
        )
        schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
        schema.add_field(NAMES, DataType.SPARSE_FLOAT_VECTOR)
        for name in STORED_COLUMNS:
            schema.add_field(name, DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
        indexes.add_index(NAMES, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        schema.add_function(Function("bm25", FunctionType.BM25, ["index_text"], ["terms"]))
        # Nested: pymilvus flattens one level, and milvus-lite reads what is left under `params` only.
        bm25 = {"params": {"bm25_k1": BM25_K1, "bm25_b": BM25_B}}
        indexes.add_index("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params=bm25)
    return schema, indexes


def _prefix(tenant_id: str) -> str:
    return PREFIX + check_tenant(tenant_id).replace("_", "_u").replace("-", "_d")
