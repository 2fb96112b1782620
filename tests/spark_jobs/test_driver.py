"""No data passes through the driver: this test lists every call that brings rows there, with the bound of its rows.

A number of rows that grows with the documents is no bound. Numbers (`count`, `agg(…).first()`) are one row and free.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import PROJECT_ROOT

BRINGS_ROWS = {
    *("collect", "toPandas", "toArrow", "toLocalIterator", "take", "head", "tail", "show"),
    *("inputFiles", "read_rows", "to_pyarrow_table"),
}
BOUNDED = {
    "counts.recorded": "one row, of one step of one run",
    "embed._embed_few": "64 texts, and their hashes",
    "safeguards.check_names": "three ids that two paths hold",
    "safeguards.check_snapshot": "a number for each path of the run",
    "forget._Proof.__init__": "a row for each place of one run",
    "forget._of_evaluations": "a row for each evaluation, which people start",
    "inputs._line_number": "a row for each 128 MB of one file",
    "name_frequencies._next_batch": "one row, of one key of one tenant",
    "parse._counts": "a row for each of four states",
    "purge.purge": "a row and a name for each file of one tenant, 128 MB each after maintenance",
    "purge.rows_on_disk": "a row for each file of one tenant",
    "reconcile.repair": "a row for each of four kinds of drift",
    "reindex.sampled_recall": "a sample of 50, its scores, and the distinct group sets of one tenant",
    "replay.ids_to_read": "10,000 ids, or none",
    "sync.tenants_with_chunks": "a row for each tenant",
}


def calls_that_bring_rows(node: ast.AST, place: str) -> Iterator[str]:
    """The place `module.Class.function` of each such call below a node; an inner function counts for its outer one."""
    for child in ast.iter_child_nodes(node):
        is_definition = isinstance(child, ast.ClassDef | ast.FunctionDef)
        inner = f"{place}.{child.name}" if is_definition and not isinstance(node, ast.FunctionDef) else place
        if isinstance(child, ast.Call):
            name = child.func.attr if isinstance(child.func, ast.Attribute) else getattr(child.func, "id", "")
            if name in BRINGS_ROWS:
                yield place
        yield from calls_that_bring_rows(child, inner)


def found_in(file: Path) -> Counter[str]:
    return Counter(calls_that_bring_rows(ast.parse(file.read_text()), file.stem))


def test_every_call_that_brings_rows_to_the_driver_is_bounded() -> None:
    found = sum((found_in(file) for file in (PROJECT_ROOT / "spark_jobs").rglob("*.py")), Counter())
    assert set(found) == set(BOUNDED), "list the call here with the bound of its rows, or keep the rows in Spark"


@pytest.mark.parametrize(
    "line", ["rows.filter(x).collect()", "[r for r in rows.toLocalIterator()]", "read_rows(settings, CHUNKS)"]
)
def test_a_new_one_is_noticed(line: str, tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text(f"def run():\n    def batch(rows):\n        return {line}\n")
    assert found_in(file) == {"job.run": 1}
