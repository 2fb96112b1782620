"""Multi-hop search in Milvus: a forbidden passage is neither returned nor followed, and bad input does no harm."""

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from lakehouse.errors import InvalidInput
from lakehouse.index.frequencies import FrequencyDirectory
from lakehouse.index.index import Index
from lakehouse.index.layout import layout
from lakehouse.index.passages import Passage
from lakehouse.index.rows import IndexRow, StoredPassage, encode_vector
from lakehouse.index.server import Capabilities
from lakehouse.retrieval.multihop.ranking import shipped_weights
from lakehouse.retrieval.multihop.search import MultihopSearch, _DecodedRows
from lakehouse.settings import Settings
from lakehouse.storage.delta import append
from lakehouse.tables import FREQUENCIES
from lakehouse.text.hyperlinks import Place
from lakehouse.text.name_keys import counted_keys, hashed
from lakehouse.text.search_text import words
from tests.lite_server import LiteServer

pytestmark = pytest.mark.integration

DIMENSION = 64
QUESTION = "In which town was the architect of Harrow Bridge born?"
BRIDGE = ("bridge", "Harrow Bridge", "Harrow Bridge was designed by the architect Ida Kestrel.", "everyone")
KESTREL = ("kestrel", "Ida Kestrel", "Ida Kestrel was born in Marl.", "hr")
OTHERS = [(f"other{n}", f"Person {n}", f"Person {n} was born in the town of Place {n}.", "everyone") for n in range(9)]
Document = tuple[str, str, str, str]


def vector(text: str) -> np.ndarray:
    """A vector by words: texts with equal words have similar vectors."""
    seeds = [zlib.crc32(word.encode()) for word in words(text) or [""]]
    total = np.sum([np.random.default_rng(seed).normal(size=DIMENSION) for seed in seeds], axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


class Corpus:
    """One tenant's chunks in Milvus and their counts in Delta."""

    def __init__(
        self,
        settings: Settings,
        index: Index,
        tenant: str,
        documents: Sequence[Document],
        counted: Sequence[Document] = (),
    ) -> None:
        self.tenant = tenant
        self.collection = index.collections.create(tenant, DIMENSION)
        index.writer.upsert(self.collection, (self.row(*document) for document in documents))
        index.collections.publish(tenant, self.collection)
        counts = Counter(
            key
            for doc_id, title, text, _ in counted or documents
            for key in counted_keys(title, "", text, Place("s", doc_id, ""))
        )
        append(settings, FREQUENCIES, [
            {"tenant_id": tenant, "key": hashed(key), "chunks": count, "ingest_run_id": "r"}
            for key, count in counts.items()
        ])  # fmt: skip
        self._search = MultihopSearch(index.reader, FrequencyDirectory(settings), shipped_weights())

    def row(self, chunk_id: str, title: str, text: str, acl_key: str) -> IndexRow:
        return IndexRow(
            chunk_id=chunk_id, tenant_id=self.tenant, acl_key=acl_key, doc_id=chunk_id, source="s", title=title,
            heading="", text=text, uri="", vector=vector(text),
        )  # fmt: skip

    def search(self, question: str, *keys: str, k: int = 5) -> list[Passage]:
        return self._search.search(
            self.tenant, keys or ("everyone",), query=question, vector=vector(question), k=k, collection=self.collection
        )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Settings]:
    folder: Path = tmp_path_factory.mktemp("multihop")
    server = LiteServer(folder / "milvus", free_port())
    try:
        server.start()
        yield Settings(home=folder, milvus_uri=f"http://127.0.0.1:{server.port}")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def index(settings: Settings) -> Iterator[Index]:
    index = Index(settings)
    yield index
    index.close()


@pytest.fixture(scope="module")
def acme(settings: Settings, index: Index) -> Corpus:
    return Corpus(settings, index, "acme", [BRIDGE, KESTREL, *OTHERS])


def test_the_second_passage_is_found_through_the_first(acme: Corpus) -> None:
    found = {passage.chunk_id: passage for passage in acme.search(QUESTION, "everyone", "hr", k=2)}
    assert set(found) == {"bridge", "kestrel"}
    assert [(step.chunk_id, step.how, step.via) for step in found["kestrel"].path] == [
        ("bridge", "names", "ida kestrel")
    ]
    assert found["bridge"].path == ()


def test_who_may_not_read_a_passage_neither_sees_it_nor_is_led_by_it(settings: Settings, index: Index) -> None:
    """With and without the forbidden passages the answer is the same, scores and all."""
    secret = ("secret", "Harrow Bridge", "Harrow Bridge was paid for by Person 3.", "hr")
    everything = [BRIDGE, secret, KESTREL, *OTHERS]
    whole = Corpus(settings, index, "secretive", everything)
    public = Corpus(settings, index, "public", [BRIDGE, *OTHERS], counted=everything)

    shown = whole.search(QUESTION, k=50)

    assert {passage.chunk_id for passage in shown} == {"bridge", *(other[0] for other in OTHERS)}
    assert [outcome(one) for one in shown] == [outcome(one) for one in public.search(QUESTION, k=50)]


MANUAL = [
    ("admin/copies.md", "Saving", "To keep what you have each night, follow [this](../ops/run-9.md#cold).", "everyone"),
    ("ops/run-9.md", "Procedure", "The command is `orionctl dump`; then wait for the tape.", "hr"),
    *((f"ops/{n}.md", "Procedure", f"The command is `valve {n}`; then wait.", "everyone") for n in range(10, 90)),
]  # fmt: skip
MANUAL_QUESTION = "Which command should I run each night to keep what I have?"


def test_a_hyperlink_leads_to_a_page_that_shares_no_name(settings: Settings, index: Index) -> None:
    manual = Corpus(settings, index, "manual", MANUAL)
    found = {passage.chunk_id: passage for passage in manual.search(MANUAL_QUESTION, "everyone", "hr", k=2)}
    assert set(found) == {"admin/copies.md", "ops/run-9.md"}
    (step,) = [step for passage in found.values() for step in passage.path]
    assert (step.how, step.via) in {("links_to", "ops/run-9"), ("linked_from", "ops/run-9")}


def test_a_link_to_a_forbidden_page_leads_nowhere(settings: Settings, index: Index) -> None:
    whole = Corpus(settings, index, "closed", MANUAL)
    without = Corpus(settings, index, "gone", [page for page in MANUAL if page[3] != "hr"], counted=MANUAL)
    shown = whole.search(MANUAL_QUESTION, k=50)
    assert "ops/run-9.md" not in {passage.chunk_id for passage in shown}
    assert [outcome(one) for one in shown] == [outcome(one) for one in without.search(MANUAL_QUESTION, k=50)]


def test_a_page_to_which_everyone_links_leads_nowhere(settings: Settings, index: Index) -> None:
    pages = [(f"p{n}.md", f"Page {n}", f"Valve {n} is turned by hand. [home](home.md)", "everyone") for n in range(100)]
    hub = Corpus(settings, index, "hub", [*pages, ("home.md", "Welcome", "Choose a page.", "everyone")])
    found = hub.search("How is Valve 7 turned?", k=50)
    assert found[0].chunk_id == "p7.md"
    assert not any(step.how in ("links_to", "linked_from") for passage in found for step in passage.path)


def test_no_allowed_key_and_an_empty_question_find_nothing(acme: Corpus) -> None:
    assert acme.search(QUESTION, "nobody's") == []
    assert acme.search("  ") == []


def test_one_document_is_found(settings: Settings, index: Index) -> None:
    (only,) = Corpus(settings, index, "single", [BRIDGE]).search(QUESTION)
    assert (only.chunk_id, only.path) == ("bridge", ())


@pytest.mark.parametrize("title", ["the", "1984", "X", "", "北京", "القاهرة", "A" * 2_000])
def test_titles_that_say_nothing_or_too_much(acme: Corpus, index: Index, title: str) -> None:
    odd = [(f"odd{n}", title, f"北京是中国的首都。 القاهرة عاصمة مصر. Marl {n}", "odd") for n in range(3)]
    index.writer.upsert(acme.collection, (acme.row(*document) for document in odd))
    found = acme.search(f"{title} 中国的首都在哪里 {QUESTION}", "odd", k=5)
    assert {passage.chunk_id for passage in found} == {"odd0", "odd1", "odd2"}


def test_thousands_of_equal_titles_and_an_enormous_question_take_bounded_time(settings: Settings, index: Index) -> None:
    text = "The report speaks of Ida Kestrel and of Harrow Bridge in chapter"
    same = [(f"same{n}", "Report", f"{text} {n}.", "everyone") for n in range(2_000)]
    crowd = Corpus(settings, index, "crowd", [*same, BRIDGE, KESTREL])
    usual = seconds(lambda: crowd.search(QUESTION, "everyone", "hr"))
    enormous = seconds(lambda: crowd.search(f"{QUESTION} " * 300, "everyone", "hr"))
    assert len(crowd.search("What does the Report say of Ida Kestrel?")) == 5
    assert usual < 5
    assert enormous < 5 * usual + 2


def test_threads_that_search_at_once_find_what_one_finds(acme: Corpus) -> None:
    questions = [QUESTION, *(f"In which town was Person {n} born?" for n in range(9))] * 3
    alone = [[outcome(one) for one in acme.search(question, "everyone", "hr")] for question in questions]
    with ThreadPoolExecutor(4) as threads:
        together = threads.map(lambda question: acme.search(question, "everyone", "hr"), questions)
        assert [[outcome(one) for one in found] for found in together] == alone


def test_what_is_remembered_of_rows_is_bounded_and_never_stale() -> None:
    rows = _DecodedRows(max_characters=5_000)
    spoken, beside = '{"own": {}, "say": {}}', encode_vector(np.ones(4))
    found = [StoredPassage(Passage(str(n), "d", "T", "", f"text {n}", "", 1.0), spoken, beside) for n in range(500)]
    kept = [rows.candidate(one) for one in found]
    assert rows.candidate(found[-1]) is kept[-1]
    assert rows.candidate(found[0]) is not kept[0]
    renamed = replace(found[-1], passage=replace(found[-1].passage, title="Other"))
    assert rows.candidate(renamed).title == "Other"
    assert len(rows._candidates) < 150


def test_a_collection_without_names_says_how_to_get_them(settings: Settings, index: Index, acme: Corpus) -> None:
    """A collection without the columns of names still takes writes and other searches."""
    old = Capabilities(index.capabilities.version, bm25=False, scalar_index="INVERTED", several_writers=False)
    schema, indexes = layout(old, DIMENSION)
    client = MilvusClient(settings.milvus_uri)
    client.create_collection("lakehop_old_v1", schema=schema, index_params=indexes)
    client.close()
    index.writer.upsert("lakehop_old_v1", [acme.row(*BRIDGE) | {"tenant_id": "old"}])
    index.collections.publish("old", "lakehop_old_v1")

    search = MultihopSearch(index.reader, FrequencyDirectory(settings), shipped_weights())
    with pytest.raises(InvalidInput, match=r"lakehop_old_v1.*lakehop reindex"):
        search.search("old", ["everyone"], query=QUESTION, vector=vector(QUESTION), k=5, collection="lakehop_old_v1")
    found = index.reader.search("old", ["everyone"], query=QUESTION, vector=vector(QUESTION), mode="dense", k=5)
    assert [passage.chunk_id for passage in found] == ["bridge"]


def outcome(passage: Passage) -> tuple[object, ...]:
    return passage.chunk_id, passage.path, passage.covers, round(passage.score, 3)


def seconds(call: Callable[[], object]) -> float:
    """Of this thread's processor: what else runs on the machine must not fail a test."""
    begun = time.thread_time()
    call()
    return time.thread_time() - begun
