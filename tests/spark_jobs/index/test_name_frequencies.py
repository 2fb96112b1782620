"""Names and terms are counted once, whatever changes and however often a batch comes; multi-hop search reads them."""

from collections import Counter

import pytest

from lakehouse.index.passages import Passage
from lakehouse.retrieval.retriever import Retriever
from lakehouse.tables import CHUNKS, FREQUENCIES
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import counted_keys, hashed
from spark_jobs.index import name_frequencies as count_names
from spark_jobs.runner.change_feed import checkpoint_path, skip_changes_of_others
from tests.spark_jobs.conftest import Lake

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("milvus")]

BRIDGE = {"id": "bridge", "title": "Harrow Bridge", "text": "Harrow Bridge was designed by the architect Ida Kestrel."}
KESTREL = {"id": "kestrel", "title": "Ida Kestrel", "text": "Ida Kestrel was born in Marl and studied in Wells."}
OTHERS = [
    {"id": f"other{n}", "title": f"Person {n}", "text": f"Person {n} was born in the town of Place {n}."}
    for n in range(8)
]
QUESTION = "In which town was the architect of Harrow Bridge born?"


def counted(lake: Lake) -> dict[int, int]:
    return {row["key"]: row["chunks"] for row in lake.rows(FREQUENCIES) if row["key"] != count_names.NEXT_BATCH}


def fresh(lake: Lake) -> dict[int, int]:
    """The counts by definition, of what `silver.chunks` holds now."""
    counts: Counter[int] = Counter()
    for row in lake.rows(CHUNKS):
        counts.update(
            map(
                hashed,
                counted_keys(
                    row["title"],
                    " › ".join(row["heading_path"]),
                    row["text"],
                    Place(row["source"], row["doc_id"], row["uri"]),
                    begins=row["position"] == 0,
                ),
            )
        )
    return dict(counts)


def multihop(lake: Lake, *groups: str) -> list[Passage]:
    retriever = Retriever(lake.settings)
    try:
        return retriever.search(lake.tenant, groups, QUESTION, k=3, mode="multihop")
    finally:
        retriever.close()


def test_counts_follow_edits_renames_and_deletes_and_multihop_search_follows_names(lake: Lake) -> None:
    lake.ingest(lake.write(BRIDGE, KESTREL, *OTHERS))
    assert counted(lake) == fresh(lake)
    assert counted(lake)[hashed("chunk:")] == 10
    assert counted(lake)[hashed("say:ida kestrel")] == 2

    found = {passage.doc_id: passage for passage in multihop(lake)}
    assert {"bridge", "kestrel"} <= set(found)
    (step,) = found["kestrel"].path
    assert (step.title, step.how, step.via) == ("Harrow Bridge", "names", "ida kestrel")

    edited = KESTREL | {"text": "Ida Kestrel was born in Oslo.", "groups": ["hr"]}
    renamed = OTHERS[0] | {"title": "Nobody"}
    lake.ingest(lake.write(BRIDGE, edited, renamed, *OTHERS[2:]), snapshot=True)
    assert counted(lake) == fresh(lake)
    assert hashed("say:marl") not in counted(lake)

    # who may not read the second passage learns nothing of it, and who may finds it
    hidden = multihop(lake, "staff")
    assert "kestrel" not in {passage.doc_id for passage in hidden}
    assert "kestrel" not in str([(passage.title, passage.path, passage.covers) for passage in hidden]).lower()
    assert "kestrel" in {passage.doc_id for passage in multihop(lake, "hr")}


def test_a_batch_that_comes_again_counts_once_and_none_is_lost_after_maintenance(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(*args: object) -> None:
        handle = args[-1]
        assert callable(handle)
        follow(*args[:-1], lambda batch, number: (handle(batch, number), handle(batch, number)))

    follow = count_names.for_each_batch
    monkeypatch.setattr(count_names, "for_each_batch", twice)
    lake.ingest(lake.write(BRIDGE, KESTREL))
    other = Lake(lake.spark, lake.settings, lake.folder)
    other.run("parse_documents", "chunk_documents", path=other.write(BRIDGE))
    stream = checkpoint_path(lake.settings, count_names.STEP, lake.tenant, count_names.RULES)
    assert skip_changes_of_others(lake.spark, lake.settings, CHUNKS, lake.tenant, stream)
    lake.ingest(lake.write(BRIDGE, KESTREL | {"text": "Nothing is known of her."}))
    assert counted(lake) == fresh(lake)
