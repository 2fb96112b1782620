"""SQL and whole documents: only rows that the caller may read, whatever the statement or the title."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from lakehouse.access.permissions import Caller, acl_key
from lakehouse.analytics.sql import QueryScope, run_query
from lakehouse.index.layout import collection_name
from lakehouse.index.versions import Version, save
from lakehouse.settings import Settings
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS, CHUNKS, DOCUMENTS, LLM_CALLS, TABLES, Forget

DOCUMENT_ROWS = [
    ("acme", "plan", 1, "and ends in June.", ["eng"]),
    ("acme", "plan", 0, "Launch is in May", ["eng"]),
    ("acme", "payroll", 0, "Mia earns 7,000.", ["hr"]),
    ("acme", "menu", 0, "Soup.", []),
    ("other", "plan", 0, "Merger with Acme.", []),
]


def chunk(tenant, doc_id, position, text, groups):
    return {
        "tenant_id": tenant,
        "chunk_id": f"{tenant}-{doc_id}-{position}",
        "source": "wiki",
        "doc_id": doc_id,
        "position": position,
        "title": doc_id.title(),
        "heading_path": [],
        "text": text,
        "start_offset": 0,
        "end_offset": len(text),
        "token_count": 4,
        "content_hash": "h",
        "uri": f"x:{doc_id}",
        "acl_groups": groups,
        "acl_key": acl_key(groups),
        "ingest_run_id": "r",
    }


def call(tenant, usd):
    text = dict.fromkeys(("call_id", "task_id", "app", "key_id", "program", "program_version", "agent", "outcome"), "x")
    counts = dict.fromkeys(("hop", "input_tokens", "cached_tokens", "output_tokens", "attempt"), 1)
    now = datetime(2026, 11, 3, tzinfo=UTC)
    more = {"call_id": tenant, "tenant_id": tenant, "operation": "chat", "started_at": now, "loaded_at": now}
    return text | counts | more | {"latency_ms": 1.0, "usd": usd, "saved_usd": Decimal(0), "cache_hit": False}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Documents and spend of two tenants."""
    folder = str(tmp_path_factory.mktemp("lake"))
    settings = Settings(warehouse=folder)
    keys = [{"tenant_id": "acme", "acl_key": acl_key([name]), "acl_groups": [name]} for name in ("eng", "hr")]
    delta.upsert(settings, ACL_KEYS, keys)
    delta.upsert(settings, CHUNKS, [chunk(*row) for row in DOCUMENT_ROWS])
    collection = collection_name("acme", 1)
    save(settings, Version("acme", collection, "one-axis", 4, datetime.now(UTC), state="live"))
    delta.upsert(settings, LLM_CALLS, [call("acme", Decimal("0.1")), call("other", Decimal("5"))])
    return folder


@pytest.fixture
def warehouse(lake):
    return lake


@pytest.fixture
def use(new_task):
    """Calls a built-in tool for a caller."""

    async def use(tool, arguments, caller=None):
        caller = caller or Caller("acme", ("eng",), "wiki", "key_1")
        return await new_task(caller=caller).tools.call(tool, arguments, hop=1)

    return use


# ---- documents ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [{"title": "Plan"}, {"doc_id": "plan"}])
async def test_a_document_comes_whole_and_in_order(use, named):
    seen = await use("fetch_document", named)

    assert seen.text == "Launch is in May\n\nand ends in June."
    assert [passage.chunk_id for passage in seen.passages] == ["acme-plan-0", "acme-plan-1"]


@pytest.mark.parametrize("title", ["Payroll", "Plan'; --", "' OR '1' = '1", "Merger", "x" * 999])
async def test_what_the_asker_may_not_read_is_as_if_it_were_not_there(use, title):
    seen = await use("fetch_document", {"title": title})

    assert (seen.ok, seen.passages) == (False, ())
    assert "no such document, or none that the asker may read" in seen.text


async def test_a_title_or_an_id_is_needed(use):
    assert "give a title or a doc_id" in (await use("fetch_document", {})).text
    assert "give a title or a doc_id" in (await use("fetch_document", {"title": "a", "doc_id": "b"})).text


async def test_search_names_each_passage_and_says_when_there_is_none(use, index):
    assert (await use("search", {"query": "Flask"})).text.startswith("Flask: Flask has the license BSD-3-Clause.")
    assert index.asked[0]["mode"] == "hybrid"

    index.passages = []
    assert (await use("search", {"query": "Flask"})).text == "Nothing found. Reword once, then stop."


# ---- SQL ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT text FROM silver.chunks ORDER BY text",
        "SELECT text FROM silver.chunks WHERE tenant_id = 'other' OR true ORDER BY text",
        "SELECT text FROM _silver_chunks ORDER BY text",
        "WITH a AS (FROM silver.chunks) SELECT b.text FROM a JOIN silver.chunks b USING (chunk_id) ORDER BY text",
    ],
)
async def test_no_statement_shows_rows_that_the_asker_may_not_read(use, statement):
    seen = await use("sql", {"statement": statement})

    assert [line.split('"')[3] for line in seen.text.splitlines()] == ["Launch is in May", "Soup.", "and ends in June."]


async def test_costs_are_those_of_the_tenant(use):
    for table in ("silver.llm_calls", "gold.cost_daily"):
        seen = await use("sql", {"statement": f"SELECT sum(usd) AS usd FROM {table}"})
        assert seen.text == '{"usd": "0.1000000000"}'


def test_what_does_not_tell_whose_its_rows_are_is_not_there(lake):
    offered = {table.name for table in QueryScope("acme", ()).tables()}

    assert offered.isdisjoint({"bronze.documents", "bronze.quarantine", "silver.embeddings", "bronze.llm_calls"})
    for table in TABLES:
        if table.name in offered and table.forget is Forget.DOCUMENT:
            assert any(name.endswith("acl_key") for name in table.column_names)


async def test_a_table_out_of_scope_is_refused_and_nothing_is_written(use):
    for statement in (
        f"FROM {DOCUMENTS.name}",
        "DELETE FROM silver.chunks",
        "FROM read_csv('/etc/passwd')",
        "Payroll?",
    ):
        seen = await use("sql", {"statement": statement})
        assert (seen.ok, "Mia" in seen.text, "root:" in seen.text) == (False, False, False)


async def test_a_query_without_end_is_interrupted_and_a_long_answer_is_cut(lake, settings):
    endless = "SELECT count(*) FROM range(100000) a, range(100000) b, range(1000) c WHERE a.range + b.range = c.range"
    with pytest.raises(Exception, match=r"ran out of time\. Ask for less"):
        run_query(settings, endless, QueryScope("acme", (), max_seconds=0.3))

    assert len(run_query(settings, "FROM range(1000)", QueryScope("acme", (), max_rows=7)).rows) == 7
