"""How a tenant's chunks lie in Milvus: names of alias and collections, the columns, and a chunk as a row of them."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from typing import Any, TypedDict

import numpy as np
from pymilvus import DataType, Function, FunctionType, MilvusClient

from lakehouse.access.permissions import check_tenant
from lakehouse.errors import InvalidInput
from lakehouse.index.lexical import ANALYZER, BM25_B, BM25_K1
from lakehouse.index.server import Capabilities
from lakehouse.text.hyperlinks import Place
from lakehouse.text.identifiers import with_words
from lakehouse.text.name_keys import name_vector, sparse
from lakehouse.text.names import Names

PREFIX = "lakehop_"  # a Milvus may be shared with other applications
PASSAGE_COLUMNS = ("doc_id", "title", "heading", "text", "uri")
NAMES = "names"
"""The chunk's names as a sparse vector."""
BESIDE = ("spoken", "direction")
"""What multi-hop search reads beside a passage: its names as JSON; its vector as text, for an engine hands out a vector
number by number, which took half of a search's time."""
FOR_MULTIHOP = frozenset((NAMES, *BESIDE))
"""Columns that older collections lack."""
MAX_TEXT_BYTES = 65_535  # Milvus's largest VARCHAR
# pymilvus pastes the id unescaped into the filter that it pages a collection with.
_CHUNK_ID = re.compile(r'[^\x00-\x1f"\\]{1,128}')


class IndexRow(TypedDict):
    """One chunk as it is indexed; `heading` is its heading path joined by ` › `."""

    chunk_id: str
    tenant_id: str
    acl_key: str
    doc_id: str
    source: str
    title: str
    heading: str
    text: str
    uri: str
    vector: Sequence[float] | np.ndarray


def alias_name(tenant_id: str) -> str:
    """The tenant's alias, e.g. `lakehop_acme_live`; its collections are `lakehop_acme_v1`, `_v2` …

    Milvus takes letters, digits and `_` only, so `_` and `-` of the tenant become `_u` and `_d`, and no two tenants
    share a name. No alias begins another either: dropping one, Milvus 2.3 also loses those that begin with it.
    """
    return f"{_stem(tenant_id)}_live"


def collection_name(tenant_id: str, version: int) -> str:
    """The tenant's collection of that version, from 1."""
    return f"{_stem(tenant_id)}_v{version}"


def version_of(tenant_id: str, collection: str) -> int | None:
    """Which version of the tenant's a collection is; None for one that is not the tenant's."""
    match = re.fullmatch(re.escape(_stem(tenant_id)) + r"_v(\d+)", collection)
    return int(match[1]) if match else None


def layout(capabilities: Capabilities, dimension: int) -> tuple[Any, Any]:
    """Schema and indexes of a collection, as `MilvusClient.create_collection` takes them."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("chunk_id", DataType.VARCHAR, max_length=512, is_primary=True)
    schema.add_field("tenant_id", DataType.VARCHAR, max_length=64)
    schema.add_field("acl_key", DataType.VARCHAR, max_length=64)
    for name in ("source", *PASSAGE_COLUMNS):
        schema.add_field(name, DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
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
        for name in BESIDE:
            schema.add_field(name, DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
        indexes.add_index(NAMES, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        schema.add_function(Function("bm25", FunctionType.BM25, ["index_text"], ["terms"]))
        # Nested: pymilvus flattens one level, and milvus-lite reads what is left under `params` only.
        bm25 = {"params": {"bm25_k1": BM25_K1, "bm25_b": BM25_B}}
        indexes.add_index("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params=bm25)
    return schema, indexes


def stored(row: IndexRow, columns: Collection[str]) -> dict[str, Any]:
    """A chunk as a collection with these columns stores it; a text over 65,535 bytes is cut.

    `InvalidInput` for an impossible id.
    """
    if not _CHUNK_ID.fullmatch(row["chunk_id"]):
        raise InvalidInput(
            f"chunk_id {row['chunk_id']!r}: must be 1 to 128 characters without quotes, backslashes and control "
            "characters. Use a hash."
        )
    fields: dict[str, Any] = {**row, "vector": np.asarray(row["vector"], dtype=np.float32)}
    for name in ("title", "heading", "text", "uri"):
        fields[name] = _cut(fields[name])
    if "index_text" in columns:
        fields["index_text"] = _cut(index_text(row["title"], row["heading"], row["text"]))
    if NAMES in columns:
        names = Names.of(row["title"], row["heading"], row["text"], Place(row["source"], row["doc_id"], row["uri"]))
        fields |= {NAMES: sparse(name_vector(names)), "spoken": _json(names)}
    if "direction" in columns:
        fields["direction"] = direction(fields["vector"])
    return fields


def names_of(spoken: str) -> Names:
    """The names that a row of a collection holds in `spoken`."""
    return Names(**json.loads(spoken))


def direction(vector: np.ndarray) -> str:
    """A vector (dimension,) as text: of length 1, in half precision, which moves a cosine by less than 0.001."""
    length = float(np.linalg.norm(vector))
    return b64encode((vector / length if length else vector).astype("<f2").tobytes()).decode()


def vector_of(direction: str) -> np.ndarray:
    """The vector (dimension,) that a row of a collection holds in `direction`, float32 of length 1."""
    found = np.frombuffer(b64decode(direction), dtype="<f2").astype(np.float32)
    length = float(np.linalg.norm(found))
    return found / length if length else found


def _json(names: Names) -> str:
    return json.dumps({"own": names.own, "say": names.say}, ensure_ascii=False)


def index_text(title: str, heading: str, text: str) -> str:
    """What a search for words looks in: titles count as text does, and identifiers' words as others do."""
    return with_words("\n".join(part for part in (title, heading, text) if part))


def _stem(tenant_id: str) -> str:
    return PREFIX + check_tenant(tenant_id).replace("_", "_u").replace("-", "_d")


def _cut(text: str) -> str:
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
