"""Every Delta table, declared once and without any engine: grain, key, columns, and a sentence for each column.

Spark schemas, Arrow schemas, the SQL catalog, the data dictionary in `docs/` and the tests all read these
declarations. Add a column here and nowhere else.
"""

from lakehouse.tables.calls import EVAL_RESULTS, EVAL_RUNS, LLM_CALLS, LLM_CALLS_RAW
from lakehouse.tables.chunks import ACL_KEYS, CHUNKS, EMBEDDINGS, FREQUENCIES
from lakehouse.tables.documents import DOCUMENTS, QUARANTINE
from lakehouse.tables.memory import MEMORIES
from lakehouse.tables.programs import AGENT_PROGRAMS, COMPILED_PROGRAMS
from lakehouse.tables.runs import FORGET_RUNS, INDEX_VERSIONS, INGEST_RUNS, RECONCILE_RUNS
from lakehouse.tables.schema import Column, Forget, Rule, Table, Type

__all__ = [
    "ACL_KEYS",
    "AGENT_PROGRAMS",
    "CHUNKS",
    "COMPILED_PROGRAMS",
    "DOCUMENTS",
    "EMBEDDINGS",
    "EVAL_RESULTS",
    "EVAL_RUNS",
    "FORGET_RUNS",
    "FREQUENCIES",
    "INDEX_VERSIONS",
    "INGEST_RUNS",
    "LLM_CALLS",
    "LLM_CALLS_RAW",
    "MEMORIES",
    "QUARANTINE",
    "RECONCILE_RUNS",
    "TABLES",
    "Column",
    "Forget",
    "Rule",
    "Table",
    "Type",
]

TABLES: tuple[Table, ...] = (
    DOCUMENTS,
    QUARANTINE,
    CHUNKS,
    ACL_KEYS,
    FREQUENCIES,
    EMBEDDINGS,
    INDEX_VERSIONS,
    RECONCILE_RUNS,
    INGEST_RUNS,
    FORGET_RUNS,
    LLM_CALLS_RAW,
    LLM_CALLS,
    MEMORIES,
    COMPILED_PROGRAMS,
    AGENT_PROGRAMS,
    EVAL_RUNS,
    EVAL_RESULTS,
)
