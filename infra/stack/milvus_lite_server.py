"""`python -m infra.stack.milvus_lite_server`: `milvus-lite server` with fast searches while nothing waits for a flush.

milvus-lite is written in Python, and each of its searches walks all rows twice to see which are the newest of their
key, adds up the scores of words and names posting by posting, and reads of each hit all columns, the vector's numbers
one by one. That was half of the time of a question over 3,000 passages, and grew with their number.

What rows count follows from the segments, which never change, and the deletions: `SettledCollection` works it out once
a state. It takes searches of the kind that Lakehop makes, of a collection whose writes are all flushed; any other goes
the engine's own way, and so does everything in another version of milvus-lite. Results are those of the engine to the
last bit, which a test compares over random histories. On a Milvus cluster none of this runs.
"""

import logging
import math
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from operator import is_
from typing import Any, NamedTuple

import milvus_lite.db
import numpy as np
import pyarrow as pa
from milvus_lite.cmdline import main as milvus_lite_main
from milvus_lite.engine.collection import Collection, _convert_hits_to_milvus_distances
from milvus_lite.engine.projection import build_projection_plan
from milvus_lite.index.brute_force import BruteForceIndex
from milvus_lite.schema.types import DataType
from milvus_lite.search.bitmap import build_valid_mask
from milvus_lite.search.indexed_filter import evaluate_segment_filter
from milvus_lite.storage.segment import Segment

VERSION = "3.2.2"
"""Of milvus-lite, whose insides are known here."""
FILTERS = 64
"""Whose rows a collection remembers, a byte a row each: one for each set of permission keys that callers have."""
ODD = ("partition_names", "group_by_field", "radius", "range_filter", "ranker")
"""Arguments of a search that goes the engine's own way."""
logger = logging.getLogger(__name__)


class Postings:
    """The sparse vectors of a segment by dimension, and the scores of a query, as the engine's two sparse indexes.

    Both add up in the order of the query's dimensions and in the precision of theirs: BM25's in 32 bits, with the
    segment's own statistics, an inner product's in 64.
    """

    def __init__(self, column: pa.ChunkedArray, bm25: tuple[float, float] | None) -> None:
        self.bm25 = bm25
        """k1 and b; None for an inner product."""
        packed = [value or b"" for value in column.to_pylist()]
        self.rows = len(packed)
        pairs = np.frombuffer(b"".join(packed), dtype=[("dimension", "<u4"), ("weight", "<f4")])
        row = np.repeat(np.arange(self.rows, dtype=np.int32), [len(value) // 8 for value in packed])
        present = pairs["weight"] != 0
        pairs, row = pairs[present], row[present]
        order = np.argsort(pairs["dimension"], kind="stable")
        self._dimensions, self._starts, self._counts = np.unique(
            pairs["dimension"][order], return_index=True, return_counts=True
        )
        self._row = row[order]
        weight = pairs["weight"][order]
        self._worth = weight.astype(np.float64) if bm25 is None else self._saturated(row, pairs["weight"], weight)

    def _saturated(self, row: np.ndarray, frequencies: np.ndarray, ordered: np.ndarray) -> np.ndarray:
        """BM25's worth of each posting but for the term's idf, float32."""
        assert self.bm25
        k1, b = self.bm25
        lengths = np.bincount(row, weights=frequencies, minlength=self.rows)
        average = lengths.sum() / self.rows if lengths.any() else 1.0
        length = lengths.astype(np.float32)[self._row]
        over = (ordered.astype(np.float64) * (k1 + 1.0)).astype(np.float32)
        return np.asarray(over / (ordered + k1 * (1.0 - b + b * length / float(average))), dtype=np.float32)

    def search(self, query: dict[int, float], k: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the rows of the mask that share a dimension with the query the k best: rows, distances (below zero)."""
        asked = np.fromiter(query, dtype=np.uint32, count=len(query))
        places = np.searchsorted(self._dimensions, asked)
        known = places < len(self._dimensions)
        known[known] = self._dimensions[places[known]] == asked[known]
        places, counts = places[known], self._counts[places[known]]
        if not counts.sum():
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        ends = np.cumsum(counts)
        postings = np.arange(ends[-1]) + np.repeat(self._starts[places] - (ends - counts), counts)
        rows = self._row[postings]
        weights = np.fromiter(query.values(), dtype=np.float64, count=len(query))[known]
        scores = self._sums(rows, self._worth[postings], counts, weights)
        first = np.full(self.rows, -1)
        first[rows[::-1]] = np.arange(len(rows))[::-1]  # of equal scores the one that the engine met first comes first
        found = np.flatnonzero((first >= 0) & mask)
        if k < len(found):
            least = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= least]
        best = found[np.lexsort((first[found], -scores[found]))][:k]
        return best, (-scores[best]).astype(np.float32)

    def _sums(self, rows: np.ndarray, worth: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
        if self.bm25 is None:
            return np.bincount(rows, weights=np.repeat(weights, counts) * worth, minlength=self.rows)
        idf = np.array([_idf(self.rows, held) for held in counts.tolist()], dtype=np.float32)
        scores = np.zeros(self.rows, dtype=np.float32)
        np.add.at(scores, rows, np.repeat(idf, counts) * worth * np.repeat(weights.astype(np.float32), counts))
        return scores


def _idf(rows: int, held: int) -> float:
    return math.log((rows - held + 0.5) / (held + 0.5) + 1.0)


class Found(NamedTuple):
    """A row of a segment as found, in the engine's order: by distance, then by segment, then by `tie`."""

    distance: float
    segment: int
    tie: int
    row: int


@dataclass(frozen=True)
class Settled:
    """The segments and deletions of a collection at a moment, and which rows count: `live`, a mask for each segment."""

    segments: tuple[Segment, ...]
    deletions: dict[Any, int]
    live: list[np.ndarray]
    readable: dict[tuple[str, str | None], list[np.ndarray]] = field(default_factory=dict)
    """Those that also pass a filter, by the filter and its time zone."""

    def holds(self, segments: tuple[Segment, ...], deletions: dict[Any, int]) -> bool:
        """Whether nothing changed since."""
        same = len(segments) == len(self.segments) and all(map(is_, segments, self.segments))
        return same and deletions == self.deletions


class SettledCollection(Collection):
    """A collection whose plain searches take the time of what they return, where all that was written is flushed."""

    _settled: Settled | None = None

    def search(
        self,
        query_vectors: list[Any],
        top_k: int = 10,
        metric_type: str | None = None,
        expr: str | None = None,
        output_fields: list[str] | None = None,
        anns_field: str | None = None,
        timezone: str | None = None,
        search_params: dict[str, Any] | None = None,
        **others: Any,
    ) -> list[list[dict[str, Any]]]:
        """The engine's search, by its own code unless it is a plain one of a settled collection."""
        odd = any(others.get(name) is not None for name in ODD) or others.get("offset")
        odd = odd or self.schema.enable_dynamic_field or len(query_vectors) != 1 or top_k < 1
        settled = None if odd else self._as_settled()
        if settled is None or output_fields is None:
            given = (query_vectors, top_k, metric_type)
            named = {"expr": expr, "output_fields": output_fields, "anns_field": anns_field, "timezone": timezone}
            return super().search(*given, **named, search_params=search_params, **others)
        self._require_loaded()
        column = self._resolve_anns_field(anns_field)
        metric = self.resolve_search_metric(column, metric_type)
        masks = self._readable(settled, expr, timezone)
        if any(one.dtype == DataType.SPARSE_FLOAT_VECTOR for one in self.schema.fields if one.name == column):
            self._validate_sparse_tuning(column, metric, search_params or {})
            query = self._prepare_sparse_queries(query_vectors, column)[0]
            found = self._by_postings(settled, masks, column, metric, query, top_k)
        else:
            vector = np.asarray(self._maybe_embed_queries(query_vectors, column), dtype=np.float32)
            found = self._by_vector(settled, masks, column, metric, vector, top_k, search_params)
        hits = self._read(settled, sorted(found)[:top_k], output_fields)
        _convert_hits_to_milvus_distances([hits], metric)
        return [hits]

    def _trigger_flush(self) -> None:
        """The engine's, during which nobody reads: for a moment the writes are neither in memory nor in a segment."""
        with self._maintenance_lock:
            super()._trigger_flush()

    def _as_settled(self) -> Settled | None:
        """The collection as of now; None where a write waits to be flushed."""
        with self._maintenance_lock:
            if self._memtable.size():
                return None
            segments, deleted = self._read_snapshot()
        known = self._settled
        if known is None or not known.holds(segments, deleted._map):
            keys = [key for segment in segments for key in segment.pks]
            sequences = np.concatenate([np.empty(0, np.uint64), *(segment.seqs for segment in segments)])
            live = build_valid_mask(keys, sequences, deleted)
            ends = np.cumsum([segment.num_rows for segment in segments])[:-1]
            known = self._settled = Settled(segments, deleted._map, np.split(live, ends) if segments else [])
        return known

    def _readable(self, settled: Settled, expr: str | None, timezone: str | None) -> list[np.ndarray]:
        """Of each segment the mask of the rows that count and pass the filter."""
        if not expr:
            return settled.live
        key = (expr, self._effective_timezone(timezone))
        masks = settled.readable.get(key)
        if masks is None:
            condition = self._compile_filter(expr, timezone=timezone)
            plan = self._indexed_filter_plan(condition)
            masks = [
                live & evaluate_segment_filter(segment, condition, plan) if len(live) else live
                for segment, live in zip(settled.segments, settled.live, strict=True)
            ]
            if len(settled.readable) >= FILTERS:
                settled.readable.clear()
            settled.readable[key] = masks
        return masks

    def _by_vector(
        self,
        settled: Settled,
        masks: list[np.ndarray],
        column: str,
        metric: str,
        vector: np.ndarray,
        k: int,
        params: dict[str, Any] | None,
    ) -> list[Found]:
        found = []
        for number, (segment, mask) in enumerate(zip(settled.segments, masks, strict=True)):
            vectors, present = segment.vector_data(column)
            mask = mask if present is None else mask & present
            if not mask.any():
                continue
            index = segment.indexes.get(column) or BruteForceIndex.build(vectors, metric)
            rows, distances = index.search(vector, k, valid_mask=None if mask.all() else mask, params=params)
            for row, distance in zip(rows[0].tolist(), distances[0].tolist(), strict=True):
                if row >= 0:
                    found.append(Found(distance, number, row, row))
        return found

    def _by_postings(
        self, settled: Settled, masks: list[np.ndarray], column: str, metric: str, query: dict[int, float], k: int
    ) -> list[Found]:
        spec = self._index_specs.get(column)
        params = spec.build_params if spec else {}
        bm25 = (float(params.get("bm25_k1", 1.5)), float(params.get("bm25_b", 0.75))) if metric == "BM25" else None
        found = []
        for number, (segment, mask) in enumerate(zip(settled.segments, masks, strict=True)):
            if not mask.any():
                continue
            name = f"{column} as postings"  # beside the engine's own, which goes under the column's name
            postings = segment.sparse_indexes.get(name)
            if postings is None or postings.bm25 != bm25:
                postings = segment.sparse_indexes[name] = Postings(segment.table.column(column), bm25)
            rows, distances = postings.search(query, k, mask)
            found += [
                Found(distance, number, place, row)
                for place, (row, distance) in enumerate(zip(rows.tolist(), distances.tolist(), strict=True))
            ]
        return found

    def _read(self, settled: Settled, found: list[Found], output_fields: list[str]) -> list[dict[str, Any]]:
        """The hits of these rows: of each segment the wanted columns of all its rows at once."""
        plan = build_projection_plan(output_fields, self.schema, api_kind="search")
        columns = [name for name in plan.response_schema_fields if name != self._pk_name]
        entities: dict[Found, dict[str, Any]] = {}
        for number, segment in enumerate(settled.segments):
            of_segment = [one for one in found if one.segment == number]
            if of_segment:
                read = segment.table.select(columns).take([one.row for one in of_segment])
                entities |= zip(of_segment, read.to_pylist(), strict=True)
        return [
            {"id": settled.segments[one.segment].pks[one.row], "distance": one.distance, "entity": entities[one]}
            for one in found
        ]


def main() -> int:
    """Serve as `milvus-lite server` does, with its arguments; returns when it was stopped."""
    found = version("milvus-lite")
    if found == VERSION:
        milvus_lite.db.Collection = SettledCollection
    else:
        logger.warning("milvus-lite %s: searches as it comes, slower; %s is known here", found, VERSION)
    return int(milvus_lite_main(["server", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
