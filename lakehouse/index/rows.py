"""A chunk as a row of a Milvus collection, and a row as a passage again."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import numpy as np

from lakehouse.errors import InvalidInput
from lakehouse.index.layout import (
    MAX_TEXT_BYTES,
    NAMES,
    PASSAGE_COLUMNS,
    STORED_COLUMNS,
)
from lakehouse.index.passages import Passage
from lakehouse.index.search_filters import FILTER_COLUMNS, UNKNOWN_TIME, time_of
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import name_vector, sparse
from lakehouse.text.names import Names
from lakehouse.text.search_text import search_text

SEARCH_COLUMNS = ("chunk_id", *PASSAGE_COLUMNS, *FILTER_COLUMNS)
"""Columns that `to_passage` needs."""
CANDIDATE_COLUMNS = (*SEARCH_COLUMNS, *STORED_COLUMNS)
"""Columns that `to_stored_passage` needs."""
# pymilvus pastes the id unescaped into the filter that it pages a collection with.
_CHUNK_ID = re.compile(r'[^\x00-\x1f"\\]{1,128}')


class IndexRow(TypedDict):
    """One chunk as it is indexed; `heading` is its heading path joined by ` › `, `updated_at` as of `index_time`."""

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
    document_type: NotRequired[str]
    author: NotRequired[str]
    updated_at: NotRequired[int]


_UNKNOWN = {"document_type": "", "author": "", "updated_at": UNKNOWN_TIME}


@dataclass(frozen=True)
class StoredPassage:
    """A passage with its names and its vector for multi-hop search, both still encoded as in the index."""

    passage: Passage
    spoken: str
    direction: str

    @property
    def names(self) -> Names:
        return decode_names(self.spoken)

    @property
    def vector(self) -> np.ndarray:
        """(dimension,), float32 of length 1."""
        return decode_vector(self.direction)


def to_row(chunk: IndexRow, columns: Collection[str]) -> dict[str, Any]:
    """A chunk as a row of a collection with these columns; a text over 65,535 bytes is cut.

    `InvalidInput` for an impossible id.
    """
    if not _CHUNK_ID.fullmatch(chunk["chunk_id"]):
        raise InvalidInput(
            f"chunk_id {chunk['chunk_id']!r}: must be 1 to 128 characters without quotes, backslashes and control "
            "characters. Use a hash."
        )
    title, heading, text = chunk["title"], chunk["heading"], chunk["text"]
    row: dict[str, Any] = {**_UNKNOWN, **chunk, "vector": np.asarray(chunk["vector"], dtype=np.float32)}
    for name in FILTER_COLUMNS:
        if name not in columns:
            del row[name]
    for name in ("title", "heading", "text", "uri"):
        row[name] = _cut(row[name])
    if "index_text" in columns:
        row["index_text"] = _cut(index_text(title, heading, text))
    if NAMES in columns:
        names = Names.of(title, heading, text, Place(chunk["source"], chunk["doc_id"], chunk["uri"]))
        row |= {NAMES: sparse(name_vector(names)), "spoken": encode_names(names)}
    if "direction" in columns:
        row["direction"] = encode_vector(row["vector"])
    return row


def to_passage(row: Mapping[str, Any], score: float) -> Passage:
    """A row with `SEARCH_COLUMNS` as a passage; older collections lack `FILTER_COLUMNS`."""
    return Passage(
        **{name: row[name] for name in ("chunk_id", *PASSAGE_COLUMNS)},
        score=float(score),
        document_type=row.get("document_type") or None,
        author=row.get("author") or None,
        updated_at=time_of(row.get("updated_at", UNKNOWN_TIME)),
    )


def to_stored_passage(match: Mapping[str, Any]) -> StoredPassage:
    """A match of a search for `CANDIDATE_COLUMNS` as a passage with its names and vector."""
    row = match["entity"]
    return StoredPassage(to_passage(row, match["distance"]), row["spoken"], row["direction"])


def index_text(title: str, heading: str, text: str) -> str:
    """The text that lexical search looks in: the words of title, headings and text."""
    return search_text("\n".join((title, heading, text)), is_document=True)


def encode_names(names: Names) -> str:
    """Names as the JSON of column `spoken`."""
    return json.dumps({"own": names.own, "say": names.say}, ensure_ascii=False)


def decode_names(spoken: str) -> Names:
    """The names in column `spoken` of a row."""
    return Names(**json.loads(spoken))


def encode_vector(vector: np.ndarray) -> str:
    """A vector (dimension,) as the text of column `direction`: length 1, half precision (cosines move below 0.001)."""
    length = float(np.linalg.norm(vector))
    return b64encode((vector / length if length else vector).astype("<f2").tobytes()).decode()


def decode_vector(direction: str) -> np.ndarray:
    """The vector (dimension,) in column `direction` of a row, float32 of length 1."""
    vector = np.frombuffer(b64decode(direction), dtype="<f2").astype(np.float32)
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector


def _cut(text: str) -> str:
    return text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
