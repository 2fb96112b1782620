"""A question is embedded by the model of the collection that it searches, whatever goes live meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from lakehouse.access.permissions import acl_directory
from lakehouse.errors import InvalidInput, NotFound, Unavailable
from lakehouse.index.embedding import BUNDLED_MODEL, model_folder
from lakehouse.index.passages import Passage
from lakehouse.index.reader import Superseded
from lakehouse.index.search_filters import SearchFilters
from lakehouse.index.versions import Version, live_version, save, tenant_model, versions
from lakehouse.retrieval.multihop.ranking import shipped_weights
from lakehouse.retrieval.retriever import LIVE_AGE_S, Retriever
from lakehouse.settings import Settings


class Model:
    """Stands for an embedding model: returns its name instead of a vector."""

    def __init__(self, name):
        self.name = name

    def encode(self, texts):
        return np.array([[self.name]])


class RecordingReader:
    """Stands for Milvus: records the searches of each collection, and knows which collection is live."""

    def __init__(self):
        self.live = "lakehop_acme_v1"
        self.dropped = set()
        self.asked = []

    def live_collection(self, tenant_id):
        return self.live if tenant_id == "acme" else None

    def check_names(self, tenant_id, collection):
        if collection == "lakehop_acme_v1":
            raise InvalidInput("mode='multihop': made before names were indexed.")

    def search(self, tenant_id, allowed_keys, *, query, vector, mode, k, collection, filters):
        if collection in self.dropped:
            raise Superseded("milvus", "gone")
        self.asked.append((collection, None if vector is None else str(vector[0])))
        return []


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, embedding_model="new-tenants")


@pytest.fixture
def collections():
    return RecordingReader()


class Clock:
    """A clock that stands still until a test moves it."""

    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def retriever(settings, collections, clock):
    for number, model in enumerate(("old", "new"), start=1):
        save(settings, Version("acme", f"lakehop_acme_v{number}", model, 4, datetime.now(UTC)))
    return Retriever(settings, collections, load=Model, timer=clock)


def ask(retriever, tenant="acme", mode="hybrid"):
    return retriever.search(tenant, ["eng"], "why?", k=3, mode=mode)


def test_the_best_mode_is_by_names_where_the_live_collection_holds_them(retriever, collections, clock):
    assert retriever.best_mode("acme") == "hybrid"

    collections.live = "lakehop_acme_v2"
    clock.now_s = LIVE_AGE_S
    assert retriever.best_mode("acme") == "multihop"
    with pytest.raises(NotFound, match="tenant 'nobody'"):
        retriever.best_mode("nobody")


def test_the_model_is_that_of_the_collection_searched(retriever, collections, clock):
    ask(retriever)
    collections.live = "lakehop_acme_v2"
    ask(retriever)
    clock.now_s = LIVE_AGE_S
    ask(retriever)

    assert collections.asked == [("lakehop_acme_v1", "old"), ("lakehop_acme_v1", "old"), ("lakehop_acme_v2", "new")]


def test_searching_an_index_of_an_earlier_release_says_once_to_build_it_again(retriever, caplog):
    ask(retriever)
    ask(retriever)

    assert [record.getMessage().partition(" was built")[0] for record in caplog.records] == [
        "tenant acme: lakehop_acme_v1"
    ]


def test_a_collection_dropped_meanwhile_is_left_for_the_live_one(retriever, collections):
    ask(retriever)
    collections.live, collections.dropped = "lakehop_acme_v2", {"lakehop_acme_v1"}
    ask(retriever)

    assert collections.asked[-1] == ("lakehop_acme_v2", "new")


def test_words_need_no_model(retriever, collections):
    collections.live = "lakehop_acme_v9"  # of an unknown model
    ask(retriever, mode="lexical")

    assert collections.asked == [("lakehop_acme_v9", None)]
    with pytest.raises(Unavailable, match=r"lakehop_acme_v9.*lakehop reconcile --tenant acme"):
        ask(retriever)


def test_a_reranker_orders_the_best_of_any_search_by_its_own_scores(settings, collections, tmp_path):
    model = tiny_cross_encoder(tmp_path / "reranker")
    found = [Passage(f"c{n}", "d", "Title", "", f"text number {n} of {n * 7}", "", 1 / (n + 1)) for n in range(20)]
    asked = []
    collections.search = lambda *args, k, **others: asked.append((args[1], k)) or found[:k]
    retriever = Retriever(settings.model_copy(update={"reranker": model}), collections, load=Model)

    ranked = retriever.search("acme", ["eng"], "why?", k=3, mode="lexical")

    scores = CrossEncoder(model, device="cpu").predict([("why?", f"Title\n{one.text}") for one in found])
    best = sorted(range(20), key=lambda place: -scores[place])[:3]
    assert [one.chunk_id for one in ranked] == [f"c{place}" for place in best]
    np.testing.assert_allclose([one.score for one in ranked], scores[best], atol=1e-4)
    allowed = acl_directory(settings).allowed_keys("acme", ["eng"])
    assert asked == [(allowed, 20)]  # the caller's permissions, and our depth


def test_k_are_documents_each_by_its_best_passage_and_the_filters_go_to_the_engine(retriever, collections):
    book = [Passage(f"b{n}", "book", "Book", "", "text", "", 1.0) for n in range(30)]
    ranked = [*book, *(Passage(name, name, name, "", "text", "", 0.5) for name in "xyz")]
    asked = []
    collections.search = lambda *_, k, filters, **others: asked.append((k, filters)) or ranked[:k]
    filters = SearchFilters(source=("wiki",))

    found = retriever.search_documents("acme", ["eng"], "why?", k=3, mode="lexical", filters=filters, per_document=2)

    assert [(one.chunk_id, len(one.more)) for one in found] == [("b0", 1), ("x", 0), ("y", 0)]
    assert asked == [(9, filters), (36, filters)]


def test_a_reranker_that_is_not_here_is_named(settings, collections):
    retriever = Retriever(settings.model_copy(update={"reranker": "/nowhere/at/all"}), collections, load=Model)
    with pytest.raises(InvalidInput, match=r"'/nowhere/at/all'.*LAKEHOP_RERANKER"):
        retriever.search("acme", ["eng"], "why?", k=3, mode="lexical")


def test_weights_of_a_file_are_used(settings, collections, tmp_path):
    own = replace(shipped_weights(), lead=0.5)
    own.write(tmp_path / "weights.json")
    given = settings.model_copy(update={"multihop_weights": str(tmp_path / "weights.json")})
    assert Retriever(given, collections, load=Model).weights == own
    assert Retriever(settings, collections, load=Model).weights == shipped_weights()


def tiny_cross_encoder(folder):
    """A cross-encoder with random weights and the bundled model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder(BUNDLED_MODEL))
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        num_labels=1, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_tenant_without_an_index_is_not_found(retriever):
    with pytest.raises(NotFound, match="'nobody'"):
        ask(retriever, tenant="nobody")


def test_versions_are_numbered_and_one_is_live(settings, retriever):
    live = versions(settings, "acme")[1].gone_live("run2", chunks=7, recall=0.99)
    save(settings, live)

    assert [version.number for version in versions(settings, "acme")] == [1, 2]
    assert live_version(settings, "acme") == live
    assert (tenant_model(settings, "acme"), tenant_model(settings, "globex")) == ("new", "new-tenants")
