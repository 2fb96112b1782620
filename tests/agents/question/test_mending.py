"""Questions as they are searched for."""

import shutil

import pytest

from agents.question.mending import mend, with_corrections
from agents.task.journal import Journal
from lakehouse.storage import delta
from lakehouse.tables import FREQUENCIES
from lakehouse.text.name_keys import EVERY_CHUNK, TERM, hashed
from lakehouse.text.terms import stem


@pytest.fixture
def settings(settings, tmp_path):
    """A tenant of 100 chunks with counted words."""
    folder = tmp_path / "counted"
    shutil.copytree(settings.warehouse, folder)
    settings = settings.model_copy(update={"warehouse": str(folder)})
    counts = {EVERY_CHUNK: 100} | {TERM + stem(word): 20 for word in ("collection", "schema", "kubernetes", "travel")}
    shared = {"tenant_id": "acme", "ingest_run_id": "r"}
    rows = [shared | {"key": hashed(key), "chunks": count} for key, count in counts.items()]
    delta.upsert(settings, FREQUENCIES, rows)
    return settings


@pytest.mark.parametrize(
    ("question", "search"),
    [
        ("how do i creat a colection pls", "how do i creat a colection collection"),
        ("whats the shcema of a collection?", "what is the shcema schema of a collection?"),
        ("Which colectionName has my_colection or v2.colection?", None),  # identifiers
        ("How do I travel?", None),
        ("什么是 collection？", None),
        ("", None),
    ],
)
async def test_filler_is_dropped_and_what_is_meant_stands_beside_the_misspelt_word(new_task, question, search):
    mended = await mend(new_task(), question)

    assert (mended.question, mended.search) == (question, question if search is None else search)


async def test_a_task_that_resumes_searches_by_the_same_words(new_task):
    class Kept(Journal):
        """Gives the result that was kept before the process died."""

        async def once(self, name, work):
            return {"colection": "collections"}, 0.0

    mended = await mend(new_task(journal=Kept()), "a colection")

    assert mended.corrections == {"colection": "collections"}


def test_a_word_between_punctuation_is_mended_and_the_rest_of_the_text_stays():
    text = 'A "colection", in a partition (colection)?'

    assert with_corrections(text, {"colection": "collection"}) == (
        'A "colection collection", in a partition (colection collection)?'
    )
