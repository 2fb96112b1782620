"""What filters of a search read reaches the index, also where nothing else of a document changed."""

from datetime import UTC, datetime

import pytest

from lakehouse.index.search_filters import SearchFilters
from lakehouse.retrieval.retriever import Retriever
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.usefixtures("milvus")]

ORION = {"id": "orion", "title": "Orion", "text": "Orion serves the inference fleet."}
LUNCH = {"id": "lunch", "title": "Canteen", "text": "Noodles are served at noon.", "document_type": ".PDF"}


def narrowed(lake: Lake, **given: object) -> set[str]:
    retriever = Retriever(lake.settings)
    try:
        filters = SearchFilters(**given)  # type: ignore[arg-type]
        found = retriever.search(lake.tenant, [], "served", k=10, mode="multihop", filters=filters)
        return {passage.doc_id for passage in found}
    finally:
        retriever.close()


def test_a_change_of_author_type_or_date_alone_is_found_and_costs_no_embedding(lake: Lake) -> None:
    lake.ingest(lake.write(ORION | {"author": ["Ida", "Max"]}, LUNCH))
    assert narrowed(lake, author=("Ida, Max",)) == {"orion"}
    assert narrowed(lake, document_type=("pdf",)) == {"lunch"}
    assert narrowed(lake, document_type=("record",)) == {"orion"}

    counts = lake.ingest(lake.write(ORION | {"author": "Eve", "updated_at": "2026-05-01T00:00:00Z"}, LUNCH))

    assert (counts["changed"], counts["unchanged"], counts["embedded"]) == (1, 1, 0)
    assert narrowed(lake, author=("Ida, Max",)) == set()
    assert narrowed(lake, author=("Eve",), updated_after=datetime(2026, 5, 1, tzinfo=UTC)) == {"orion"}
