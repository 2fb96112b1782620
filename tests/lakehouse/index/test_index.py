"""The index on both kinds of server: `milvus-lite server`, and a real Milvus without full-text search.

Vectors are made by hand: a chunk's is one of four axes, and a question lies near one of them.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from pymilvus import MilvusClient

from lakehouse.access.permissions import acl_key
from lakehouse.errors import InvalidInput, NotFound, Unavailable
from lakehouse.index.index import Index
from lakehouse.index.layout import layout
from lakehouse.index.lexical import BM25_K1
from lakehouse.index.passages import MAX_K
from lakehouse.index.reader import Superseded
from lakehouse.index.rows import IndexRow
from lakehouse.index.search_filters import FILTER_COLUMNS, SearchFilters
from lakehouse.settings import Settings
from tests.lakehouse.index import milvus_server
from tests.lite_server import LiteServer

AXES = np.eye(4, dtype=np.float32)
ENG, HR = acl_key(["eng"]), acl_key(["hr"])
MODES = ("dense", "lexical", "hybrid")
NASTY = ('staff"] or tenant_id != "', 'x") or 1==1 or ("', "%", "*", "\\", '\\"', "a\nb\tc", "'", "é›☃", "{x}")


def chunk(chunk_id, text, axis=0, key="everyone", tenant="acme", title="", heading="") -> IndexRow:
    return IndexRow(
        chunk_id=chunk_id,
        tenant_id=tenant,
        acl_key=key,
        doc_id=f"doc-{chunk_id}",
        source="wiki",
        title=title,
        heading=heading,
        text=text,
        uri=f"https://wiki/{chunk_id}",
        vector=AXES[axis],
    )


def filed(chunk_id, key="everyone", **given) -> IndexRow:
    """A chunk that says "gnu", with these values of its document."""
    return chunk(chunk_id, f"gnu {chunk_id}", key=key, tenant="filed") | given


# ---- without a server ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"k": 0}, "k=0: must be 1 to"),
        ({"k": MAX_K + 1}, f"k={MAX_K + 1}: must be 1 to"),
        ({"mode": "magic"}, "mode='magic': must be one of dense, lexical, hybrid"),
        ({"vector": None}, "mode='hybrid': needs the embedded query"),
        ({"tenant_id": 'x") or 1==1 or ("'}, "tenant"),
    ],
)
def test_a_wrong_search_is_refused_before_any_call(nowhere, arguments, complaint):
    asked = {"tenant_id": "acme", "query": "zebra", "vector": AXES[0], "mode": "hybrid", "k": 3} | arguments

    with pytest.raises(InvalidInput, match=complaint.replace("(", "\\(").replace("|", "\\|")):
        Index(nowhere).reader.search(asked.pop("tenant_id"), ["everyone"], **asked)


def test_no_allowed_key_finds_nothing_without_a_call(nowhere):
    assert Index(nowhere).reader.search("acme", [], query="zebra", vector=AXES[0], mode="hybrid", k=3) == []


def test_a_server_that_was_never_there_is_unavailable_at_once(nowhere):
    began = time.monotonic()

    with pytest.raises(Unavailable, match=f"{nowhere.milvus_uri}.*lakehop up") as caught:
        Index(nowhere).reader.search("acme", ["everyone"], query="zebra", vector=None, mode="lexical", k=3)

    assert caught.value.part == "milvus"
    assert time.monotonic() - began < 3


@pytest.fixture
def nowhere(free_port):
    return Settings(milvus_uri=f"http://127.0.0.1:{free_port()}")


# ---- with a server ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["lite", "milvus"])
def server(request, tmp_path_factory, free_port):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "lite":
        server = LiteServer(folder, free_port())
    else:
        pytest.importorskip("milvus", reason="a Milvus server is packaged for x86_64 only")
        if reason := milvus_server.missing():
            pytest.skip(reason)
        server = milvus_server.MilvusServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def index(server):
    index = Index(Settings(milvus_uri=f"http://127.0.0.1:{server.port}"))
    yield index
    index.close()


@pytest.fixture(scope="module")
def acme(index):
    """A small company's index, which tests only read."""
    rows = [
        chunk("launch", "The rocket lifts off in May.", 0, ENG, title="Zanzibar plan", heading="Dates › Launch"),
        chunk("salaries", "A rocket engineer earns much.", 1, HR),
        chunk("canteen", "Noodles are served at noon.", 2),
        *(chunk(f"secret{n}", "rocket rocket rocket", 0, HR) for n in range(120)),
        *(chunk(f"nasty{n}", "quagga", 3, key) for n, key in enumerate(NASTY)),
        chunk("smuggled", "rocket noodles", 0, tenant="globex"),
    ]
    others = [
        chunk("other", "The rocket is ours. Noodles, quagga.", 0, tenant="globex"),
        chunk("yak1", "yak cow pig hen", 1, ENG, "globex"),
        chunk("yak3", "yak yak yak hen", 1, ENG, "globex"),
    ]
    # A real server takes seconds to publish, whatever the size; milvus-lite loses one of two aliases set at once.
    with ThreadPoolExecutor(1 if index.capabilities.version.startswith("milvus_lite") else 2) as pool:
        list(pool.map(lambda tenant, chunks: publish(index, tenant, chunks), ["acme", "globex"], [rows, others]))
    return index


@pytest.fixture(scope="module")
def files(index):
    """Documents that differ in what filters read."""
    rows = [
        filed("plan", doc_id="hr/plan", document_type="pdf", author="Ida", updated_at=100),
        filed("note", doc_id="hr/note", document_type="md", author=NASTY[0], updated_at=-5),
        filed("page", doc_id="hr0", source="site", document_type="html"),
        filed("percent", doc_id="h%/x_y", document_type="md", updated_at=0),
        filed("secret", HR, doc_id="hr/secret", document_type="pdf", author="Ida", updated_at=100),
        *(filed(f"many{number}", doc_id="hr/many", document_type="csv") for number in range(80)),
    ]
    publish(index, "filed", rows)
    return index


def publish(index, tenant, rows) -> str:
    collection = index.collections.create(tenant, 4)
    index.writer.upsert(collection, rows)
    index.collections.publish(tenant, collection)
    return collection


WHEN = {seconds: datetime.fromtimestamp(seconds, UTC) for seconds in (-5, -4, 0, 1, 100, 101)}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"document_type": ("pdf", "html")}, {"plan", "page"}),
        ({"source": ("site",)}, {"page"}),
        ({"author": ("Ida",)}, {"plan"}),
        ({"author": (NASTY[0],)}, {"note"}),
        ({"author": ('x"] or 1==1 or author in ["',)}, set()),
        ({"updated_after": WHEN[0]}, {"plan", "percent"}),
        ({"updated_before": WHEN[1]}, {"note", "percent"}),
        ({"updated_after": WHEN[-4], "updated_before": WHEN[100]}, {"percent"}),
        ({"path": "h%/x_"}, {"percent"}),
        ({"path": "hr/n"}, {"note"}),
        ({"path": "hr/", "document_type": ("md",)}, {"note"}),
        ({"path": "https://wiki/pl"}, {"plan"}),
    ],
)
def test_filters_narrow_a_search_inside_the_engine_and_never_widen_it(files, mode, given, expected):
    found = files.reader.search(
        "filed", ["everyone"], query="gnu", vector=AXES[0], mode=mode, k=5, filters=SearchFilters(**given)
    )

    assert {passage.chunk_id for passage in found} == expected


def test_a_passage_tells_what_filters_read(files):
    found = files.reader.search(
        "filed", ["everyone"], query="plan", vector=AXES[0], mode="hybrid", k=3, filters=SearchFilters(author=("Ida",))
    )[0]

    assert (found.source, found.document_type, found.author, found.updated_at) == ("wiki", "pdf", "Ida", WHEN[100])


def test_a_collection_of_an_earlier_release_is_searched_and_refuses_filters_that_it_cannot_answer(index, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr("lakehouse.index.collections.layout", earlier_layout)
        collection = publish(index, "earlier", [chunk("old", "gnu", tenant="earlier")])
    asked = {"query": "gnu", "vector": AXES[0], "mode": "dense", "k": 3, "collection": collection}

    found = index.reader.search("earlier", ["everyone"], filters=SearchFilters(source=("wiki",)), **asked)

    assert [(passage.chunk_id, passage.author, passage.updated_at) for passage in found] == [("old", None, None)]
    with pytest.raises(InvalidInput, match=r"built by an earlier release, without \['author'\].*next ingest"):
        index.reader.search("earlier", ["everyone"], filters=SearchFilters(author=("Ida",)), **asked)


def earlier_layout(capabilities, dimension):
    """The layout without the columns of filters, and without words."""
    present, indexes = layout(replace(capabilities, bm25=False), dimension)
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    for field in present.fields:
        if field.name not in FILTER_COLUMNS:
            schema.add_field(field.name, field.dtype, is_primary=field.is_primary, **field.params)
    return schema, indexes


def ids(index, keys, query, axis=0, mode="hybrid", k=5, tenant="acme", collection=None):
    asked = {"query": query, "vector": AXES[axis], "mode": mode, "k": k, "collection": collection}
    return [passage.chunk_id for passage in index.reader.search(tenant, keys, **asked)]


def eventually(call, within_s=30):
    """The call's answer, once a server that has just started answers it."""
    give_up_at = time.monotonic() + within_s
    while True:
        try:
            return call()
        except Unavailable:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)


@pytest.mark.integration
class TestSearch:
    def test_multihop_search_names_the_version_that_cannot(self, acme):
        live = acme.collections.live("acme")
        if acme.capabilities.bm25:
            acme.reader.check_names("acme", live)
            return
        with pytest.raises(InvalidInput, match=r"needs Milvus 2\.5 or newer, and this is 'v2\.3"):
            acme.reader.check_names("acme", live)

    @pytest.mark.parametrize("mode", MODES)
    def test_every_mode_finds_the_passage_and_all_that_is_known_of_it(self, acme, mode):
        best = acme.reader.search("acme", [ENG], query="when does the rocket lift off", vector=AXES[0], mode=mode, k=5)[
            0
        ]

        assert (best.chunk_id, best.doc_id, best.title) == ("launch", "doc-launch", "Zanzibar plan")
        assert (best.heading, best.text) == ("Dates › Launch", "The rocket lifts off in May.")
        assert best.uri == "https://wiki/launch"
        assert best.score > 0

    def test_words_in_titles_and_headings_count(self, acme):
        assert ids(acme, [ENG, HR, "everyone"], "zanzibar", mode="lexical") == ["launch"]
        assert ids(acme, [ENG, HR, "everyone"], "LAUNCH dates", mode="lexical") == ["launch"]

    def test_words_are_scored_by_bm25_with_our_constants(self, acme):
        three, one = acme.reader.search("globex", [ENG], query="yak", vector=None, mode="lexical", k=2)

        assert (three.chunk_id, one.chunk_id) == ("yak3", "yak1")
        # all three chunks are of one length: only k1 is left
        assert three.score / one.score == pytest.approx((3 / (3 + BM25_K1)) / (1 / (1 + BM25_K1)), rel=1e-3)

    def test_a_hybrid_search_puts_first_what_both_ways_find(self, acme):
        found = ids(acme, [ENG, "everyone"], "noodles", axis=2)

        assert found[0] == "canteen"
        assert (
            acme.reader.search("acme", ["everyone"], query="noodles", vector=AXES[2], mode="hybrid", k=1)[0].score == 1
        )

    @pytest.mark.parametrize("query", ["", "  ", "?!", "the", '"', "noodles AND (", "💥"])
    @pytest.mark.parametrize("mode", MODES)
    def test_any_text_is_a_query(self, acme, mode, query):
        found = ids(acme, ["everyone"], query, axis=2, mode=mode)

        assert found in ([[], ["canteen"]] if mode == "lexical" else [["canteen"]])

    @pytest.mark.parametrize("mode", MODES)
    def test_the_forbidden_push_nothing_out(self, acme, mode):
        assert ids(acme, [ENG], "rocket", mode=mode, k=3) == ["launch"]

    @pytest.mark.parametrize("mode", MODES)
    def test_another_tenants_chunks_are_never_found_even_in_the_same_collection(self, acme, mode):
        found = ids(acme, [ENG, HR, "everyone"], "rocket noodles", mode=mode, k=200)

        assert "other" not in found
        assert "smuggled" not in found
        assert ids(acme, ["everyone"], "rocket noodles quagga", mode=mode, tenant="globex") == ["other"]

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("key", [*NASTY, 'x"]', '"] or acl_key != "', "e%", "everyon_", "EVERYONE", ""])
    def test_a_key_opens_its_own_chunks_only_whatever_it_is_made_of(self, acme, mode, key):
        mine = [f"nasty{NASTY.index(key)}"] if key in NASTY else []

        assert ids(acme, [key], "quagga rocket noodles", axis=3, mode=mode, k=200) == mine

    def test_chunks_are_counted_for_the_tenant(self, acme):
        assert acme.reader.count("acme") == 123 + len(NASTY)

    @pytest.mark.parametrize("mode", MODES)
    def test_a_tenant_without_an_index_is_not_found(self, acme, mode):
        with pytest.raises(NotFound, match=r"'nobody'.*lakehop ingest"):
            ids(acme, ["everyone"], "rocket", mode=mode, tenant="nobody")
        with pytest.raises(NotFound):
            acme.reader.count("nobody")
        assert acme.collections.live("nobody") is None


@pytest.mark.integration
def test_words_are_found_however_a_document_and_a_question_write_them(index):
    texts = {
        "accents": "Die Pra\u0308zisionswaage nahm Herr Nu\u0301n\u0303ez.",
        "unseen": "Der Daten\u00adschutz und die Kunden\u200bnummer",
        "printed": "every con\ufb01guration and its mainte-\nnance",
        "escaped": r"max\_idle\_conns\_per\_host = 4",
        "chinese": "员工出差报销须在返回后提交申请单，逾期不予受理。",
        "japanese": "交通費は翌月五日までに。領収書が必要です。",
        "thai": "โปรดแนบใบเสร็จรับเงิน",
        "hindi": "हिन्दी भाषा",
    }
    publish(index, "wayne", [chunk(name, text, tenant="wayne") for name, text in texts.items()])
    questions = ["Präzisionswaage NÚÑEZ", "datenschutz", "Kundennummer", "configuration", "maintenance"]
    questions += ["max_idle_conns_per_host", "报销", "申请单", "領収書", "ใบเสร็จ", "हिन्दी"]

    found = [ids(index, ["everyone"], question, mode="lexical", tenant="wayne") for question in questions]

    expected = ["accents", "unseen", "unseen", "printed", "printed", "escaped", "chinese", "chinese", "japanese"]
    assert found == [[name] for name in [*expected, "thai", "hindi"]]
    shown = index.reader.search("wayne", ["everyone"], query="Núñez", vector=None, mode="lexical", k=1)[0].text
    assert shown == texts["accents"]


@pytest.mark.integration
def test_the_only_passage_with_the_code_asked_for_beats_the_nearest_vector(index):
    rows = [chunk("near", "what pumps mean", 0), chunk("code", "AZ-6120 is the old seal", 1)]
    publish(index, "stark", [row | {"tenant_id": "stark"} for row in rows])

    assert ids(index, ["everyone"], "what does AZ-6120 mean", axis=0, k=1, tenant="stark") == ["code"]


@pytest.mark.integration
def test_a_live_index_follows_its_documents(index):
    collection = publish(index, "initech", [chunk(f"c{n}", f"report {n}", 0, ENG, "initech") for n in range(6)])
    keys = [ENG, "everyone"]

    # c1 moves to another group, c2 goes, c3 has a new text, c6 is new
    index.writer.upsert(
        collection, [chunk("c1", "report 1", 0, HR, "initech"), chunk("c3", "zebra", 0, ENG, "initech")]
    )
    index.writer.upsert(collection, [chunk("c6", "report 6", 0, "everyone", "initech")])
    named = index.writer.delete(collection, ["c2", "never-there"])
    index.collections.publish("initech", collection)

    assert named == 2
    assert index.collections.live("initech") == collection
    assert index.reader.count("initech") == 6
    for mode in MODES:
        found = ids(index, keys, "report zebra 1 2", mode=mode, k=50, tenant="initech")
        assert sorted(found) == ["c0", "c3", "c4", "c5", "c6"], mode
        assert ids(index, [HR], "report zebra 1 2", mode=mode, k=50, tenant="initech") == ["c1"], mode
    assert ids(index, keys, "zebra", mode="lexical", tenant="initech") == ["c3"]


@pytest.mark.integration
def test_a_refusal_of_the_server_says_what_it_is(index):
    with pytest.raises(Unavailable, match=r"refused: .*lakehop_nobody_v7") as caught:
        index.writer.upsert("lakehop_nobody_v7", [chunk("c", "zebra")])

    assert caught.value.part == "milvus"


@pytest.mark.integration
def test_a_new_collection_goes_live_at_once_and_the_old_one_can_be_returned_to(index):
    old = publish(index, "hooli", [chunk("old", "zebra", tenant="hooli")])

    new = index.collections.create("hooli", 4)
    index.writer.upsert(new, [chunk("new", "zebra", tenant="hooli")])
    before = (index.collections.live("hooli"), ids(index, ["everyone"], "zebra", tenant="hooli"))
    index.collections.publish("hooli", new)

    assert before == (old, ["old"])
    assert index.collections.live("hooli") == new != old
    assert ids(index, ["everyone"], "zebra", tenant="hooli") == ["new"]
    assert ids(index, ["everyone"], "zebra", tenant="hooli", collection=old) == ["old"]
    with pytest.raises(InvalidInput, match=f"'{new}' is live"):
        index.collections.drop("hooli", new)

    index.collections.publish("hooli", old)
    index.collections.drop("hooli", new)

    assert ids(index, ["everyone"], "zebra", tenant="hooli") == ["old"]
    with pytest.raises(Superseded, match=f"'{new}' is gone; '{old}' is live"):
        ids(index, ["everyone"], "zebra", tenant="hooli", collection=new)
    assert index.collections.create("hooli", 4, after=7) == "lakehop_hooli_v8"


@pytest.mark.integration
def test_rows_come_by_ranges_of_their_ids(acme):
    rows = list(acme.reader.rows(acme.collections.live("globex"), ["chunk_id", "text"], "yak", "yak3"))

    assert rows == [{"chunk_id": "yak1", "text": "yak cow pig hen"}]
    assert {row["chunk_id"] for row in acme.reader.rows(acme.collections.live("globex"), ["chunk_id"], "", "")} == {
        "other", "yak1", "yak3"
    }  # fmt: skip


@pytest.mark.integration
def test_a_tenants_collection_is_its_own_and_goes_with_it(acme):
    collection = acme.collections.create("ac", 4)

    with pytest.raises(InvalidInput, match=f"'{collection}': tenant 'acme' has"):
        acme.collections.publish("acme", collection)
    acme.collections.publish("ac", collection)
    acme.collections.drop_tenant("ac")
    acme.collections.drop_tenant("ac")

    assert acme.collections.live("ac") is None
    assert acme.collections.create("ac", 4) == collection
    assert ids(acme, [ENG], "rocket") == ["launch"]


@pytest.mark.integration
def test_a_documents_chunks_are_deleted_from_every_collection_of_the_tenant(index):
    rows = [chunk("a", "rocket", 0, tenant="rid"), chunk("b", "rocket", 1, tenant="rid")]
    rows.append({**chunk("c", "rocket", 2, tenant="rid"), "source": "mail", "doc_id": "doc-a"})
    publish(index, "rid", rows)
    index.writer.upsert(index.collections.create("rid", 4), rows)  # the next one, which is not live yet
    assert index.reader.count_documents("rid", None, ["doc-a"]) == 4
    assert index.reader.count_documents("rid", "wiki", NASTY) == 0

    index.writer.delete_documents("rid", "wiki", ["doc-a", "doc-none"])
    assert index.reader.count_documents("rid", None, ["doc-a"]) == 2
    assert index.reader.count_documents("rid", None, []) == 4

    index.writer.delete_documents("rid", None, ["doc-a"])
    assert index.reader.count_documents("rid", None, ["doc-a"]) == 0
    assert index.reader.count_documents("rid", "wiki", []) == index.reader.count_documents("rid", None, []) == 2
    assert index.reader.count_documents("nobody", None, []) == 0


@pytest.mark.integration
def test_down_is_told_soon_and_the_same_client_searches_after_the_restart(server, acme):
    server.stop()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="lakehop up"):
        ids(acme, [ENG], "rocket")
    assert time.monotonic() - began < 5

    server.start()
    eventually(lambda: acme.reader.count("acme"))

    assert {mode: ids(acme, [ENG], "rocket", mode=mode, k=3) for mode in MODES} == {m: ["launch"] for m in MODES}
    assert acme.reader.count("acme") == 123 + len(NASTY)
