"""The assets that DAGs update and other DAGs may wait for. `extra` of an event names the tenant, source or program.

`evaluate` waits for `INDEX_VERSION` and `PROGRAM`, which change seldom and may change every answer. Nothing waits for
`SEARCH_INDEX`: asking a model a set of questions after every ingest is a bill that nobody ordered.
"""

from airflow.sdk import Asset

SEARCH_INDEX = Asset("search_index")  # chunks were added to or taken from a tenant's live collection
INDEX_VERSION = Asset("index_version")  # a tenant's alias points at a new collection: ops.index_versions
CALL_RECORDS = Asset("call_records")  # silver.llm_calls
PROGRAM = Asset("program")  # a newly compiled program: ops.agent_programs
EVALUATION = Asset("evaluation")  # gold.eval_runs
