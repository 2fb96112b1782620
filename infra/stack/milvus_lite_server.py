"""`python -m infra.stack.milvus_lite_server`: `milvus-lite server` with faster searches.

milvus-lite is written in Python. Each of its searches walks all rows twice to find the newest row of each key, adds up
sparse scores posting by posting, and reads all columns of each result, the vector's numbers one by one. A hybrid
search of 7,000 passages makes a search by vector and one by words: 152 ms of processor time, 22 ms by this module.

Which rows are current follows from the segments, which never change, and the deletions. `SettledCollection` computes it
once a state. It handles the kinds of search that Lakehop makes, in a collection whose writes are all flushed; any other
search runs milvus-lite's own code. Results are equal to the last bit; a test compares them over random histories.

It replaces private parts of milvus-lite, so it runs with version VERSION only; with any other version the server runs
unpatched and logs one line. To switch it off: name the module `milvus_lite` with the argument `server` in
`infra.stack.parts`. A Milvus cluster never runs this code.
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
"""The only version of milvus-lite that this module patches."""
CACHED_FILTERS = 64
"""Filters whose row masks a collection caches, at one byte a row. Each set of permission keys is a filter."""
UNSUPPORTED = ("partition_names", "group_by_field", "radius", "range_filter", "ranker")
"""A search with one of these arguments runs milvus-lite's own code."""
logger = logging.getLogger(__name__)


class Postings:
    """An inverted index of a segment's sparse vectors; equal in results to milvus-lite's two sparse indexes.

    Scores add up in the order of the query's dimensions and in milvus-lite's precision: 32 bits for BM25, with the
    segment's own statistics, 64 bits for an inner product.
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
        self._scores = weight.astype(np.float64) if bm25 is None else self._saturated(row, pairs["weight"], weight)

    def _saturated(self, row: np.ndarray, frequencies: np.ndarray, ordered: np.ndarray) -> np.ndarray:
        """BM25's score of each posting without the term's idf, float32."""
        assert self.bm25
        k1, b = self.bm25
        lengths = np.bincount(row, weights=frequencies, minlength=self.rows)
        average = lengths.sum() / self.rows if lengths.any() else 1.0
        length = lengths.astype(np.float32)[self._row]
        numerator = (ordered.astype(np.float64) * (k1 + 1.0)).astype(np.float32)
        return np.asarray(numerator / (ordered + k1 * (1.0 - b + b * length / float(average))), dtype=np.float32)

    def search(self, query: dict[int, float], k: int, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The k best rows of the mask that share a dimension with the query: row numbers, negated scores."""
        dimensions = np.fromiter(query, dtype=np.uint32, count=len(query))
        places = np.searchsorted(self._dimensions, dimensions)
        known = places < len(self._dimensions)
        known[known] = self._dimensions[places[known]] == dimensions[known]
        places, counts = places[known], self._counts[places[known]]
        if not counts.sum():
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        ends = np.cumsum(counts)
        postings = np.arange(ends[-1]) + np.repeat(self._starts[places] - (ends - counts), counts)
        rows = self._row[postings]
        weights = np.fromiter(query.values(), dtype=np.float64, count=len(query))[known]
        scores = self._sums(rows, self._scores[postings], counts, weights)
        first = np.full(self.rows, -1)
        first[rows[::-1]] = np.arange(len(rows))[::-1]  # ties go in the order in which milvus-lite meets the rows
        matches = np.flatnonzero((first >= 0) & mask)
        if k < len(matches):
            least = np.partition(scores[matches], len(matches) - k)[len(matches) - k]
            matches = matches[scores[matches] >= least]
        best = matches[np.lexsort((first[matches], -scores[matches]))][:k]
        return best, (-scores[best]).astype(np.float32)

    def _sums(
        self, rows: np.ndarray, posting_scores: np.ndarray, counts: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        if self.bm25 is None:
            return np.bincount(rows, weights=np.repeat(weights, counts) * posting_scores, minlength=self.rows)
        idf = np.array([_idf(self.rows, count) for count in counts.tolist()], dtype=np.float32)
        scores = np.zeros(self.rows, dtype=np.float32)
        np.add.at(scores, rows, np.repeat(idf, counts) * posting_scores * np.repeat(weights.astype(np.float32), counts))
        return scores


def _idf(rows: int, rows_with_term: int) -> float:
    return math.log((rows - rows_with_term + 0.5) / (rows_with_term + 0.5) + 1.0)


class RankedRow(NamedTuple):
    """A matching row of a segment; sorts as in milvus-lite: by distance, then segment, then `tie`."""

    distance: float
    segment: int
    tie: int
    row: int


@dataclass(frozen=True)
class Settled:
    """The segments and deletions of a collection at one moment. `live`: a mask of current rows a segment."""

    segments: tuple[Segment, ...]
    deletions: dict[Any, int]
    live: list[np.ndarray]
    readable: dict[tuple[str, str | None], list[np.ndarray]] = field(default_factory=dict)
    """Masks of the current rows that also pass a filter, by the filter and its time zone."""

    def is_current(self, segments: tuple[Segment, ...], deletions: dict[Any, int]) -> bool:
        """Whether nothing has changed since."""
        same = len(segments) == len(self.segments) and all(map(is_, segments, self.segments))
        return same and deletions == self.deletions


class SettledCollection(Collection):
    """A collection whose plain searches are fast while all its writes are flushed."""

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
        """As in milvus-lite; only a plain search of a settled collection takes the fast way."""
        unsupported = any(others.get(name) is not None for name in UNSUPPORTED) or others.get("offset")
        unsupported = unsupported or self.schema.enable_dynamic_field or len(query_vectors) != 1 or top_k < 1
        settled = None if unsupported else self._as_settled()
        if settled is None or output_fields is None:
            arguments = (query_vectors, top_k, metric_type)
            options = {"expr": expr, "output_fields": output_fields, "anns_field": anns_field, "timezone": timezone}
            return super().search(*arguments, **options, search_params=search_params, **others)
        self._require_loaded()
        column = self._resolve_anns_field(anns_field)
        metric = self.resolve_search_metric(column, metric_type)
        masks = self._readable(settled, expr, timezone)
        if any(f.name == column and f.dtype == DataType.SPARSE_FLOAT_VECTOR for f in self.schema.fields):
            self._validate_sparse_tuning(column, metric, search_params or {})
            query = self._prepare_sparse_queries(query_vectors, column)[0]
            ranked = self._by_postings(settled, masks, column, metric, query, top_k)
        else:
            vector = np.asarray(self._maybe_embed_queries(query_vectors, column), dtype=np.float32)
            ranked = self._by_vector(settled, masks, column, metric, vector, top_k, search_params)
        entities = self._read(settled, sorted(ranked)[:top_k], output_fields)
        _convert_hits_to_milvus_distances([entities], metric)
        return [entities]

    def _trigger_flush(self) -> None:
        """As in milvus-lite, without readers: for a moment the writes are neither in memory nor in a segment."""
        with self._maintenance_lock:
            super()._trigger_flush()

    def _as_settled(self) -> Settled | None:
        """The collection's present state; None while a write waits for its flush."""
        with self._maintenance_lock:
            if self._memtable.size():
                return None
            segments, deleted = self._read_snapshot()
        known = self._settled
        if known is None or not known.is_current(segments, deleted._map):
            keys = [key for segment in segments for key in segment.pks]
            sequences = np.concatenate([np.empty(0, np.uint64), *(segment.seqs for segment in segments)])
            live = build_valid_mask(keys, sequences, deleted)
            ends = np.cumsum([segment.num_rows for segment in segments])[:-1]
            known = self._settled = Settled(segments, deleted._map, np.split(live, ends) if segments else [])
        return known

    def _readable(self, settled: Settled, expr: str | None, timezone: str | None) -> list[np.ndarray]:
        """For each segment, the mask of the current rows that pass the filter."""
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
            if len(settled.readable) >= CACHED_FILTERS:
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
    ) -> list[RankedRow]:
        ranked: list[RankedRow] = []
        for number, (segment, mask) in enumerate(zip(settled.segments, masks, strict=True)):
            vectors, present = segment.vector_data(column)
            mask = mask if present is None else mask & present
            if not mask.any():
                continue
            index = segment.indexes.get(column) or BruteForceIndex.build(vectors, metric)
            rows, distances = index.search(vector, k, valid_mask=None if mask.all() else mask, params=params)
            for row, distance in zip(rows[0].tolist(), distances[0].tolist(), strict=True):
                if row >= 0:
                    ranked.append(RankedRow(distance, number, row, row))
        return ranked

    def _by_postings(
        self, settled: Settled, masks: list[np.ndarray], column: str, metric: str, query: dict[int, float], k: int
    ) -> list[RankedRow]:
        spec = self._index_specs.get(column)
        params = spec.build_params if spec else {}
        bm25 = (float(params.get("bm25_k1", 1.5)), float(params.get("bm25_b", 0.75))) if metric == "BM25" else None
        ranked: list[RankedRow] = []
        for number, (segment, mask) in enumerate(zip(settled.segments, masks, strict=True)):
            if not mask.any():
                continue
            name = f"{column} as postings"  # beside milvus-lite's own index, which has the column's name
            postings = segment.sparse_indexes.get(name)
            if postings is None or postings.bm25 != bm25:
                postings = segment.sparse_indexes[name] = Postings(segment.table.column(column), bm25)
            rows, distances = postings.search(query, k, mask)
            ranked += [
                RankedRow(distance, number, place, row)
                for place, (row, distance) in enumerate(zip(rows.tolist(), distances.tolist(), strict=True))
            ]
        return ranked

    def _read(self, settled: Settled, ranked: list[RankedRow], output_fields: list[str]) -> list[dict[str, Any]]:
        """The rows' ids, distances and columns; the columns of a segment's rows are read at once."""
        plan = build_projection_plan(output_fields, self.schema, api_kind="search")
        columns = [name for name in plan.response_schema_fields if name != self._pk_name]
        entities: dict[RankedRow, dict[str, Any]] = {}
        for number, segment in enumerate(settled.segments):
            rows = [row for row in ranked if row.segment == number]
            if rows:
                table = segment.table.select(columns).take([row.row for row in rows])
                entities |= zip(rows, table.to_pylist(), strict=True)
        return [
            {"id": settled.segments[row.segment].pks[row.row], "distance": row.distance, "entity": entities[row]}
            for row in ranked
        ]


def main() -> int:
    """Serve as `milvus-lite server` does, with its arguments; return its exit status."""
    installed = version("milvus-lite")
    if installed == VERSION:
        milvus_lite.db.Collection = SettledCollection
    else:
        logger.warning("milvus-lite %s runs unpatched, with slower searches: the patch is for %s", installed, VERSION)
    return int(milvus_lite_main(["server", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
